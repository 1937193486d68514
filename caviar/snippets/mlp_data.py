"""Python text that loads a named set, splits and scales it exactly as workers do it for `mlp`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from caviar.contract.data import DATASETS, DatasetFacts
from caviar.contract.mlp import MlpOptions

_IMAGES = frozenset({"mnist", "fashion_mnist", "cifar10", "cifar100"})


@dataclass(frozen=True, slots=True)
class DataText:
    """How a program gets its data.

    Attributes:
        imports: Modules that it needs beside Keras and NumPy.
        body: Statements that leave `x` and `y`, and the rows `train`, `validation` and `test`.
        labels: How labels are encoded.
        num_classes: Number of classes; None for numbers.
    """

    imports: list[str]
    body: str
    labels: Literal["integer", "one_hot", "number"]
    num_classes: int | None


def write(options: MlpOptions, data_seed: int) -> DataText:
    """The data of a configuration.

    Args:
        options: Of the configuration; `dataset` is given.
        data_seed: Of the split.
    """
    name = str(options.dataset)
    facts = DATASETS[name]
    kind: Literal["integer", "one_hot", "number"] = "number"
    if facts.num_classes is not None:
        kind = "integer" if options.labels == "auto" else options.labels
    is_shipped = facts.source == "scikit-learn"
    parts = [
        _load(name, is_shipped),
        _encoded(kind),
        _split(options, facts, kind, data_seed),
        _scaled(options, is_pixels=name in _IMAGES),
    ]
    if kind == "number":
        parts.append(_scaled_targets(options))
    elif kind == "one_hot":
        parts.append(f'y = np.eye({facts.num_classes}, dtype="float32")[y]')
    imports = ["import sklearn.datasets"] if is_shipped else []
    return DataText(imports, "\n".join(parts), kind, None if kind == "number" else facts.num_classes)


def _load(name: str, is_shipped: bool) -> str:
    if is_shipped:
        return f"x, y = sklearn.datasets.load_{name}(return_X_y=True)"
    return "\n".join(
        [
            f"(x, y), (x_test, y_test) = keras.datasets.{name}.load_data()",
            "x, y = np.concatenate([x, x_test]), np.concatenate([y, y_test]).reshape(-1)",
            "x = x.reshape(len(x), -1)",
        ]
    )


def _encoded(kind: str) -> str:
    return "y = y.astype(float)" if kind == "number" else 'y = np.unique(y, return_inverse=True)[1].astype("int32")'


def _split(options: MlpOptions, facts: DatasetFacts, kind: str, data_seed: int) -> str:
    share = options.validation_fraction
    has_test = not facts.has_test and options.test_fraction > 0
    strata = ["[order]"] if kind == "number" else ["(order[y[order] == label] for label in np.unique(y))"]
    rows = "len(x) - len(x_test)" if facts.has_test else "len(x)"
    test = f"max(1, min(round({options.test_fraction!r} * len(rows)), len(rows) - 2))" if has_test else "0"
    lines = [
        f"rng = np.random.default_rng({data_seed})",
        f"order = rng.permutation({rows})",
        "dealt = []",
        f"for rows in {strata[0]}:",
        f"    num_test = {test}",
        f"    num_validation = max(1, min(round({share!r} * len(rows)), len(rows) - num_test - 1))",
        "    dealt.append(np.split(rows, [num_test, num_test + num_validation]))",
        "parts = [np.concatenate(part) for part in zip(*dealt)]",
        "train, validation, test = (rng.permutation(part) for part in reversed(parts))",
    ]
    if facts.has_test:
        lines.append("test = np.arange(len(x) - len(x_test), len(x))")
    return "\n".join(lines)


def _scaled(options: MlpOptions, *, is_pixels: bool) -> str:
    if options.scaling == "none":
        return 'x = x.astype("float32")'
    # All pixels have one unit; other columns have their own.
    axis = "" if is_pixels else "axis=0"
    lines = ['x = x.astype("float32")'] if is_pixels else []
    return "\n".join([*lines, *_statistics(options.scaling, "x", axis)])


def _scaled_targets(options: MlpOptions) -> str:
    if options.target_scaling == "none":
        return 'y = y.astype("float32")'
    return "\n".join(_statistics(options.target_scaling, "y", "axis=0"))


def _statistics(scaling: str, name: str, axis: str) -> list[str]:
    if scaling == "minmax":
        shift = f"shift, width = {name}[train].min({axis}), np.ptp({', '.join(filter(None, [f'{name}[train]', axis]))})"
    else:
        mean = ", ".join(filter(None, [axis, "dtype=float"]))
        shift = f"shift, width = {name}[train].mean({mean}), {name}[train].std({mean})"
    return [shift, f'{name} = (({name} - shift) / np.where(width > 0, width, 1)).astype("float32")']
