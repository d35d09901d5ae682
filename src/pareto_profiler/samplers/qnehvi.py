"""QnehviSampler: BoTorch's noisy expected hypervolume improvement, with a kernel for categories."""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.errors import InputError
from pareto_profiler.samplers.local import neighbours
from pareto_profiler.samplers.proposing import ProposingSampler, seed_of

_FIRST: Final = 8
_CANDIDATES: Final = 300
_SAMPLES: Final = 64
_MOST: Final = 400


class QnehviSampler(ProposingSampler):
    """Log noisy expected hypervolume improvement (Daulton et al. 2021, Ament et al. 2023).

    One Gaussian process for each objective's logarithm, with a Hamming kernel that has a length for
    each variable. The acquisition is maximised over random assignments and over neighbours of the
    front. A failure counts as the worst values seen. After eight random assignments; seconds an
    ask, growing with the cube of the trials.

    Args:
        problem: What is searched.

    Raises:
        InputError: BoTorch is not installed.
    """

    def __init__(self, problem: Problem) -> None:
        try:
            import botorch  # noqa: F401
        except ImportError as error:
            raise InputError("qnehvi needs BoTorch: pip install botorch") from error
        super().__init__(problem)

    def _propose(self, count: int) -> list[Assignment]:
        if len(self._told) < _FIRST or not self._told.values:
            return self._random.ask(count)
        import torch
        from botorch.acquisition.multi_objective.logei import (
            qLogNoisyExpectedHypervolumeImprovement,
        )
        from botorch.optim import optimize_acqf_discrete
        from botorch.sampling.normal import SobolQMCNormalSampler

        random = np.random.default_rng([self._problem.seed, 6, len(self._told)])
        candidates = self._candidates(random)
        if not candidates:
            return []
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            torch.manual_seed(seed_of((self._problem.seed, len(self._told))))
            inputs, levels = self._seen()
            model = self._model(inputs, levels)
            acquisition = qLogNoisyExpectedHypervolumeImprovement(
                model=model,
                ref_point=(levels.min(dim=0).values - 0.1).tolist(),
                X_baseline=inputs,
                sampler=SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=self._problem.seed),
                prune_baseline=True,
            )
            found, _ = optimize_acqf_discrete(
                acquisition,
                q=min(count, len(candidates)),
                choices=self._inputs(candidates),
                unique=True,
            )
        rows = {tuple(row): a for row, a in zip(self._digits(candidates), candidates, strict=True)}
        return [rows[tuple(int(x) for x in row)] for row in found.tolist()]

    def _candidates(self, random: np.random.Generator) -> list[Assignment]:
        space = self._problem.space
        around = [b for a in self._told.front()[:20] for b in neighbours(space, a)]
        drawn = [*self._random.ask(_CANDIDATES // 2)]
        fresh = [a for a in dict.fromkeys([*around, *drawn]) if a not in self._told]
        if len(fresh) <= _CANDIDATES:
            return fresh
        return [fresh[i] for i in random.choice(len(fresh), _CANDIDATES, replace=False).tolist()]

    def _seen(self) -> tuple[Any, Any]:
        """Digits and negative logarithms, since BoTorch maximises; the latest where too many."""
        import torch

        told = self._told
        rows = [(a, v) for a, v in told.values.items()]
        rows += [(a, told.worst()) for a in sorted(told.failed)]
        rows = [(a, v) for a, v in rows if a in self._problem.space][-_MOST:]
        values = np.log(np.maximum([v for _, v in rows], 1e-12))
        scale = np.maximum(values.std(axis=0), 1e-6)
        levels = torch.tensor(-(values - values.mean(axis=0)) / scale, dtype=torch.double)
        return self._inputs([a for a, _ in rows]), levels

    def _digits(self, assignments: list[Assignment]) -> list[tuple[int, ...]]:
        return [self._problem.space.encode(a) for a in assignments]

    def _inputs(self, assignments: list[Assignment]) -> Any:
        import torch

        return torch.tensor(self._digits(assignments), dtype=torch.double)

    def _model(self, inputs: Any, levels: Any) -> Any:
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import ModelListGP, SingleTaskGP
        from botorch.models.kernels.categorical import CategoricalKernel
        from gpytorch.kernels import ScaleKernel
        from gpytorch.mlls import SumMarginalLogLikelihood

        variables = inputs.shape[1]
        models = [
            SingleTaskGP(
                inputs,
                levels[:, k : k + 1],
                covar_module=ScaleKernel(CategoricalKernel(ard_num_dims=variables)),
                outcome_transform=None,
            )
            for k in range(levels.shape[1])
        ]
        model = ModelListGP(*models)
        fit_gpytorch_mll(
            SumMarginalLogLikelihood(model.likelihood, model),
            optimizer_kwargs={"options": {"maxiter": 50}},
        )
        return model
