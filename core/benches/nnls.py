#!/usr/bin/env python3
"""The yardstick: offline non-negative least squares on the same windows (Lawson and Hanson 1974, scipy.optimize.nnls).

    cargo bench -p evenkeel-core --bench estimates -- seed 1 10 3000 export | python3 core/benches/nnls.py

One line a seed: median and 95th percentile of |estimate - truth| / truth over all three resources of queries executed at
least 5 times, learned online and by nnls. The truncated average is taken as its middle; a column of ones a tick is the background.
"""

import json
import sys

import numpy as np
from scipy.optimize import nnls


def judge(errors):
    ordered = np.sort(np.asarray(errors))
    rank = lambda share: ordered[max(int(np.ceil(share * len(ordered))), 1) - 1] * 100
    return rank(0.5), rank(0.95)


def main():
    for line in sys.stdin:
        if not line.startswith("{"):
            continue
        run = json.loads(line)
        queries, windows = run["queries"], run["windows"]
        matrix = np.zeros((len(windows), len(queries) + 1))
        for row, window in enumerate(windows):
            matrix[row, -1] = window["length"]
            for query, count in window["counts"]:
                matrix[row, query] = count
        learned_errors, nnls_errors = [], []
        for resource in range(3):
            sums = [w["length"] * (w["averages"][resource] + 0.5) - 0.5 for w in windows]
            costs, _ = nnls(matrix, np.array(sums), maxiter=100 * len(queries))
            for query, cost in zip(queries, costs):
                if query["executions"] >= 5:
                    truth, learned = query["true_learned"][resource]
                    learned_errors.append(abs(learned - truth) / truth)
                    nnls_errors.append(abs(cost - truth) / truth)
        print("seed %d windows %d: learned median %.3f %% p95 %.2f %%, nnls median %.3f %% p95 %.2f %%"
              % ((run["seed"], len(windows)) + judge(learned_errors) + judge(nnls_errors)))


if __name__ == "__main__":
    main()
