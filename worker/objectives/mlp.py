"""The built-in objective `mlp`: a multilayer perceptron on tabular data, images laid flat, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caviar.contract.errors import InvalidRequest
from caviar.contract.losses import Loss, LossMismatch, fitting
from caviar.contract.mlp import DEFAULT_SPACE, MlpOptions
from caviar.contract.mlp_rules import parse
from caviar.contract.study import Metric
from worker.objectives.errors import Infeasible
from worker.objectives.protocol import Params

if TYPE_CHECKING:
    from worker.data.dataset import Dataset

# NumPy and Keras are imported where they are used: a process that only names this objective stays light.


class MlpObjective:
    """A multilayer perceptron whose every part is an option; see `caviar.contract.mlp.MlpOptions`."""

    name = "mlp"
    space = DEFAULT_SPACE

    def __init__(
        self,
        *,
        config: Mapping[str, Any],
        data_dir: Path | None = None,
        data_seed: int = 0,
        metric: Metric | None = None,
        max_epochs: int | None = None,
    ) -> None:
        """Keep what is fixed for the study.

        Args:
            config: Fixed options; parameters of a trial go over them.
            data_dir: Folder of the files that studies may name.
            data_seed: Seed of the split of the data.
            metric: Is watched for `reduce_lr_on_plateau`; None for val_loss.
            max_epochs: Last epoch of the trial, where a cosine ends by default.
        """
        self._config = dict(config)
        self._data_dir = data_dir
        self._data_seed = data_seed
        self._metric = metric or Metric()
        self._max_epochs = max_epochs

    def build(self, params: Params) -> Any:
        """A new, compiled Keras model.

        Args:
            params: Options by name.
        Raises:
            Infeasible: The options contradict each other or do not fit the data.
            DataError: The data cannot be loaded.
        """
        from worker.objectives import network, optimizers, output, schedules

        options = self._options(params)
        dataset = self._dataset(options)
        loss = self._loss(options, dataset)
        num_steps = -(-len(dataset.train.x) // self._batch_size(options, dataset))
        rate = schedules.build(options, steps_per_epoch=num_steps, max_epochs=self._max_epochs)
        head = output.head(loss, num_outputs=self._num_outputs(loss, dataset))
        model = network.build(options, num_inputs=dataset.train.x.shape[1], head=head)
        model.compile(
            optimizer=optimizers.build(options, rate), loss=output.loss_function(loss), metrics=output.metrics(loss)
        )
        return model

    def data(self, params: Params) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """The training and the validation part, each `(x, y)`, read-only arrays.

        Raises:
            Infeasible: The options contradict each other.
            DataError: The data cannot be loaded.
        """
        dataset = self._dataset(self._options(params))
        return (dataset.train.x, dataset.train.y), (dataset.validation.x, dataset.validation.y)

    def fit_options(self, params: Params) -> dict[str, Any]:
        """Batch size and callbacks.

        Raises:
            Infeasible: The options contradict each other.
            DataError: The data cannot be loaded.
        """
        from worker.objectives import schedules

        options = self._options(params)
        batch_size = self._batch_size(options, self._dataset(options))
        # The batches of the validation part change nothing but the time it takes.
        validation_batch_size = max(batch_size, 1024)
        return {
            "batch_size": batch_size,
            "validation_batch_size": validation_batch_size,
            "callbacks": schedules.callbacks(options, self._metric),
        }

    def _options(self, params: Params) -> MlpOptions:
        try:
            return parse({**self._config, **params})
        except InvalidRequest as error:
            raise Infeasible(str(error)) from error

    def _dataset(self, options: MlpOptions) -> Dataset:
        from worker.data import dataset

        return dataset.load(options, data_dir=self._data_dir, seed=self._data_seed)

    def _batch_size(self, options: MlpOptions, dataset: Dataset) -> int:
        num_rows = len(dataset.train.x)
        return num_rows if options.batch_size == "full" else min(options.batch_size, num_rows)

    def _loss(self, options: MlpOptions, dataset: Dataset) -> Loss:
        try:
            loss, *_ = fitting(dataset.labels, dataset.num_classes, options.loss, options.output)
        except LossMismatch as mismatch:
            raise Infeasible(f"{dataset.name}: {mismatch}") from mismatch
        if loss.name == "mean_squared_logarithmic_error":
            least = min(float(part.y.min()) for part in (dataset.train, dataset.validation))
            if least < 0:
                raise Infeasible(
                    f"{dataset.name}: loss mean_squared_logarithmic_error does not fit: a label is {least}, "
                    "expected none below 0; use mean_squared_error, or leave out target_scaling"
                )
        return loss

    def _num_outputs(self, loss: Loss, dataset: Dataset) -> int:
        if loss.output == "softmax":
            return int(dataset.num_classes or 0)
        return int(dataset.train.y.shape[1]) if dataset.train.y.ndim == 2 else 1
