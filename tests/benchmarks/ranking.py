"""P2L at scale: one target against a zoo of 1,000, of 100,000 and of 1,000,000 stored signatures of 576
numbers.

Wanted on two cores: 1,000 within 2 ms, 1,000,000 within 0.5 s and 4 GiB. Stored are the logarithms of the
signatures, in single precision; a scoring is one matrix-vector product over them, and the standard scores of
likeness and size.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np

from p2l.ranking import SourceProfile, rank_sources
from p2l.scores import WEIGHTS, kl_divergences, similarity_scores, size_scores
from p2l.signatures import log_signatures, mean_feature, signature

WIDTH = 576
IMAGES = 250
BLOCK = 10_000  # signatures drawn at once


def fastest(action: Callable[[], object], times: int = 7) -> float:
    """Seconds of the quickest of some runs: what the machine can do when its neighbours let it."""
    spans = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        spans.append(time.perf_counter() - started)
    return min(spans)


def stored_logs(sources: int, rng: np.random.Generator) -> np.ndarray:
    """Random log-signatures, float32 (sources, WIDTH), made block by block so that nothing else grows with
    the zoo."""
    logs = np.empty((sources, WIDTH), dtype=np.float32)
    for start in range(0, sources, BLOCK):
        part = logs[start : start + BLOCK]
        part[:] = log_signatures(rng.random(part.shape, dtype=np.float32))
    return logs


def whole_ranking(features: np.ndarray, images: np.ndarray, rng: np.random.Generator) -> str:
    means = rng.random((len(images), WIDTH))
    candidates = [SourceProfile(str(index), int(count), means[index]) for index, count in enumerate(images)]
    return f'{fastest(lambda: rank_sources(features, candidates), 3):.2f}'


def main() -> None:
    rng = np.random.default_rng(0)
    features = rng.random((IMAGES, WIDTH))
    print(
        '| stored signatures | they take (MiB) | score all (ms) | peak of the process (MiB) | rank with 200 '
        'bootstraps (s) |'
    )
    print('| --- | --- | --- | --- | --- |')
    for sources in (1_000, 100_000, 1_000_000):
        logs, images = stored_logs(sources, rng), rng.integers(100, 1_000_000, sources)

        def score(logs: np.ndarray = logs, images: np.ndarray = images) -> np.ndarray:
            nats = kl_divergences(signature(mean_feature(features)), logs)
            return WEIGHTS[0] * similarity_scores(nats) + WEIGHTS[1] * size_scores(images)

        whole = whole_ranking(features, images, rng) if sources <= 1_000 else '-'
        seconds = fastest(score)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f'| {sources:,} | {logs.nbytes / 2**20:.0f} | {1000 * seconds:.2f} | {peak:.0f} | {whole} |',
            flush=True,
        )
        del logs, score


if __name__ == '__main__':
    main()
