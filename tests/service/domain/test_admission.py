"""What an operator writes about those whom an identity provider vouches for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from service.domain.admission import Rule, domain, issuer
from service.domain.principal import Role, Scope
from service.settings import ServiceSettings


@pytest.mark.parametrize(
    ("text", "group", "role", "scope"),
    [
        ("ml-admins=admin", "ml-admins", Role.ADMIN, None),
        (" /groups/ML team = viewer".replace("= ", "="), "/groups/ML team", Role.VIEWER, None),
        ("a=b=submitter:digits-*:cifar", "a=b", Role.SUBMITTER, Scope.of(["digits-*", "cifar"])),
        ("everyone=viewer:*", "everyone", Role.VIEWER, Scope.of(["*"])),
    ],
)
def test_rules_are_read(text: str, group: str, role: Role, scope: Scope | None) -> None:
    rule = Rule.of(text)
    assert (rule.group, rule.role, rule.scope) == (group, role, scope)
    assert Rule.of(str(rule)) == rule


@pytest.mark.parametrize(
    "text",
    ["ml-admins", "=admin", "rigs=worker", "team=owner", "team=viewer:", "team=viewer:UPPER", "team=viewer:a*b", "t="],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Rule.of(text)
    with pytest.raises(ValidationError, match="oidc_roles"):
        ServiceSettings(oidc_roles=text)


@pytest.mark.parametrize(
    "text",
    ["https://id.example", "https://id.example/realms/ml", "https://id.example:8443/", "http://127.0.0.1:9000",
     "http://localhost/realm"],
)  # fmt: skip
def test_an_issuer_is_kept_as_it_calls_itself(text: str) -> None:
    assert issuer(text) == text


@pytest.mark.parametrize(
    "text",
    ["id.example", "http://id.example", "http://127.0.0.1.evil.example", "http://localhost@evil.example",
     "https://id.example?tenant=1", "https://id.example/#x", "https://me@id.example", "ftp://id.example", ""],
)  # fmt: skip
def test_what_can_be_no_issuer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected https"):
        issuer(text)


def test_domains_are_compared_in_lower_case() -> None:
    assert domain(" @Example.ORG ") == "example.org"
    for wrong in ("", "example..org", "*.example.org", "a@b.example", "-x.example"):
        with pytest.raises(ValueError, match="expected a domain"):
            domain(wrong)


@pytest.mark.parametrize("scopes", ["email profile", "openidx", "", "openid  email"])
def test_openid_must_be_asked_for(scopes: str) -> None:
    with pytest.raises(ValidationError, match="oidc_scopes"):
        ServiceSettings(oidc_scopes=scopes)
