"""P2L at scale: one target of 250 images against a zoo of 1,000 and of 100,000 stored signatures of 576 numbers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from p2l.ranking import Candidate, rank
from p2l.scores import kl_divergences, similarity_scores, size_scores
from p2l.signatures import log_signatures, mean_feature, signature

WIDTH = 576
IMAGES = 250


def fastest(deed: Callable[[], object], times: int = 7) -> float:
    """Seconds of the quickest of some runs: what the machine can do when its neighbours let it."""
    spans = []
    for _ in range(times):
        started = time.perf_counter()
        deed()
        spans.append(time.perf_counter() - started)
    return min(spans)


def main() -> None:
    rng = np.random.default_rng(0)
    features = rng.random((IMAGES, WIDTH))
    print('| stored signatures | memory MiB | score all (ms) | rank with 200 bootstraps (s) |')
    print('| --- | --- | --- | --- |')
    for sources in (1_000, 100_000):
        means = rng.random((sources, WIDTH))
        logs = log_signatures(means).astype(np.float32)
        images = rng.integers(100, 1_000_000, sources)

        def score(logs: np.ndarray = logs, images: np.ndarray = images) -> np.ndarray:
            nats = kl_divergences(signature(mean_feature(features)), logs)
            return 1.5 * similarity_scores(nats) + size_scores(images)

        whole = '-'
        if sources <= 1_000:
            candidates = [Candidate(str(index), int(images[index]), means[index]) for index in range(sources)]
            whole = f'{fastest(lambda chosen=candidates: rank(features, chosen), 3):.2f}'
        print(f'| {sources:,} | {logs.nbytes / 2**20:.0f} | {1000 * fastest(score):.2f} | {whole} |', flush=True)


if __name__ == '__main__':
    main()
