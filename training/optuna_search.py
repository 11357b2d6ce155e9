"""The door to Optuna, which proposes parameters for tuning."""

from collections.abc import Callable, Mapping
from typing import Any

import optuna

from slipway.registry.metrics import Direction
from slipway.training.space import Between, Range, Space

optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaSearch:
    """The `Search` of tuning, by Optuna's tree-structured Parzen estimator (Bergstra et al., 2011)."""

    def best(
        self,
        space: Space,
        measure: Callable[[Mapping[str, Any]], float | None],
        *,
        trials: int,
        direction: Direction,
        seed: int,
    ) -> Mapping[str, Any] | None:
        """Return the best of `trials` proposals; those that failed are taken for the worst."""
        proposed: dict[int, Mapping[str, Any]] = {}
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            direction="maximize" if direction is Direction.HIGHER_IS_BETTER else "minimize",
        )

        def objective(trial: optuna.Trial) -> float:
            proposed[trial.number] = _propose(trial, space)
            measured = measure(proposed[trial.number])
            if measured is None:
                raise optuna.TrialPruned  # a pruned trial without a value is the worst that the sampler knows
            return measured

        study.optimize(objective, n_trials=trials)
        measured = any(trial.state is optuna.trial.TrialState.COMPLETE for trial in study.trials)
        return proposed[study.best_trial.number] if measured else None


def _propose(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    return {name: _one(trial, name, limits) for name, limits in space.items()}


def _one(trial: optuna.Trial, name: str, limits: Range) -> Any:
    if not isinstance(limits, Between):
        # By its place: Optuna takes 1 and 1.0 for one choice, and an estimator may not (one feature, or all of them).
        return limits.choices[trial.suggest_categorical(name, tuple(range(len(limits.choices))))]
    if isinstance(limits.low, int) and isinstance(limits.high, int):
        return trial.suggest_int(name, limits.low, limits.high, log=limits.log)
    return trial.suggest_float(name, limits.low, limits.high, log=limits.log)
