"""Tokens and share links, and who one is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, status

from caviar.contract.identity import MadeShare, MadeToken, NewShare, NewToken, Rotation, Tokens, TokenView, WhoAmI
from service.api.dependencies import CurrentService, StudyName
from service.use_cases import issuing

router = APIRouter(tags=["tokens"])

TokenId = Annotated[int, Path(description="Number of a token.", ge=1, lt=2**31, examples=[2])]


@router.get("/whoami")
def who_am_i(request: Request) -> WhoAmI:
    """Read who the token of this request belongs to, and what it may do."""
    return issuing.who_am_i(request.state.principal)


@router.post("/tokens", status_code=status.HTTP_201_CREATED)
def create_token(service: CurrentService, body: NewToken) -> MadeToken:
    """Make a token. Its secret is in this answer and in no other."""
    return service.write(lambda tx: issuing.create(tx, body))


@router.get("/tokens")
def list_tokens(service: CurrentService) -> Tokens:
    """List tokens and share links, the newest first, also those that are not valid any more.

    Whoever is no administrator sees the share links of the studies that they may change.
    """
    with service.reading() as tx:
        return issuing.listed(tx)


@router.get("/tokens/{token_id:segment}")
def read_token(service: CurrentService, token_id: TokenId) -> TokenView:
    """Read a token or share link, without its secret."""
    with service.reading() as tx:
        return issuing.read(tx, token_id)


@router.delete("/tokens/{token_id:segment}", status_code=status.HTTP_204_NO_CONTENT)
def revoke_token(service: CurrentService, token_id: TokenId) -> None:
    """Let a token or share link in no more. Browsers that signed in with it are signed out, open streams end."""
    issuing.revoke(service, token_id)


@router.post("/tokens/{token_id}:rotate")
def rotate_token(service: CurrentService, token_id: TokenId, body: Rotation) -> MadeToken:
    """Give a token a new secret. The old one stays valid for as long as is asked for."""
    return issuing.rotate(service, token_id, body)


@router.post("/studies/{name}:share", status_code=status.HTTP_201_CREATED)
def share_study(service: CurrentService, name: StudyName, body: NewShare) -> MadeShare:
    """Make a link that shows this study, and nothing else, to whoever has it. It is in this answer and in no other."""
    return service.write(lambda tx: issuing.share(tx, name, body))
