"""Does the bench measure what it says? `python3 -m unittest discover -s benches/peers` (needs numpy, no engine and no library)."""
from __future__ import annotations

import io
import json
import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from xml.dom import minidom

import contest
import engine
import formats
import lowrank
import numpy as np
import plot
import report
import sets
import truth

RANDOM = np.random.default_rng(5)


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.folder = Path(home.name)


class Formats(Folder):
    def test_every_format_gives_back_what_was_written(self) -> None:
        for suffix, kind in {**formats.ROWS, **formats.HEADED}.items():
            rows = RANDOM.integers(0, 100, (7, 5)).astype(kind)
            path = self.folder / f"file{suffix}"
            with path.open("wb") as file:
                if suffix in formats.HEADED:
                    file.write(np.array(rows.shape, "<u4").tobytes() + rows.tobytes())
                for row in rows if suffix in formats.ROWS else []:
                    file.write(np.array([len(row)], "<i4").tobytes() + row.tobytes())
            np.testing.assert_array_equal(formats.read(path), rows, suffix)

    def test_torn_files_are_refused(self) -> None:
        row = np.array([3], "<i4").tobytes() + np.zeros(3, "<f4").tobytes()
        files = {"torn.fvecs": row + row[:-1], "uneven.fvecs": row + np.array([2, 0, 0, 0], "<i4").tobytes(), "empty.fvecs": b"",
                 "short.fbin": np.array([2, 3], "<u4").tobytes() + bytes(20), "what.xyz": row}
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
            with self.assertRaises(ValueError, msg=name):
                formats.read(self.folder / name)


class Truth(unittest.TestCase):
    def test_exact_is_what_sorting_all_gives(self) -> None:
        base, queries = RANDOM.standard_normal((500, 12)), RANDOM.standard_normal((9, 12))
        for metric in ("l2", "ip"):
            wanted = [np.argsort(truth.distances(metric, base, query), kind="stable")[:10] for query in queries]
            np.testing.assert_array_equal(truth.exact(metric, base, queries, 10), wanted)

    def test_ties_go_to_the_lower_id_and_any_of_them_counts(self) -> None:
        base = np.array([[1], [1], [0], [1], [5]], np.uint8)
        query = np.zeros((1, 1), np.uint8)
        right = truth.exact("l2", base, query, 2)
        np.testing.assert_array_equal(right, [[2, 0]])
        for answer, share in (([2, 3], 1.0), ([2, 4], 0.5), ([4, -1], 0.0), ([3, 3], 0.5), ([0, 1], 1.0)):
            self.assertEqual(truth.recall("l2", base, query, right, np.array([answer])), share, answer)


class Sets(Folder):
    def test_a_folder_and_a_file_and_their_options(self) -> None:
        base, queries = RANDOM.standard_normal((300, 8)).astype(np.float32), RANDOM.standard_normal((20, 8))
        np.save(self.folder / "toy_base.npy", base)
        np.save(self.folder / "toy_query.npy", queries.astype(np.float32))
        np.save(self.folder / "toy_groundtruth.npy", np.full((20, 10), 7))
        work = self.folder / "work"
        work.mkdir()
        found = sets.load(str(self.folder), 5, work, work)
        self.assertEqual((found.n, found.dim, found.metric), (300, 8, "l2"))
        self.assertTrue((found.truth == 7).all(), "the folder's own truth")
        found = sets.load(f"{self.folder}:n=100,queries=3,metric=cosine", 5, work, work)
        self.assertEqual((found.n, found.truth.shape), (100, (3, 5)))
        self.assertFalse((found.truth == 7).any(), "of a part of the vectors the truth is found anew")
        np.testing.assert_allclose(np.linalg.norm(np.load(found.base), axis=1), 1, rtol=1e-5)
        found = sets.load(f"{self.folder / 'toy_base.npy'}:queries=50", 5, work, work)
        self.assertEqual((found.n, found.truth.shape), (250, (50, 5)))
        for wrong in (f"{self.folder}:many=3", f"{self.folder}:metric=far", "nowhere"):
            with self.assertRaises(ValueError, msg=wrong):
                sets.load(wrong, 5, work, work)

    def test_lowrank_begins_alike_whatever_its_size(self) -> None:
        for count in (10, 1500):
            lowrank.write(self.folder / f"{count}.npy", count, 64, 3, False)
        small, large = np.load(self.folder / "10.npy"), np.load(self.folder / "1500.npy")
        np.testing.assert_array_equal(small, large[:10])
        np.testing.assert_allclose(np.linalg.norm(large, axis=1), 1, rtol=1e-5)
        energy = np.linalg.svd(large - large.mean(0), compute_uv=False) ** 2
        self.assertGreater(energy[:16].sum() / energy.sum(), 0.4, "few directions hold much")


class Specs(unittest.TestCase):
    def test_options_reach_the_engine_with_their_types(self) -> None:
        made = engine.make("faiss:codes=SQ8,m=24,refine=2.5")
        self.assertEqual((made.factory, made.refine), ("HNSW24_SQ8,RFlat", 2.5))
        for wrong in ("nobody", "hnswlib:codes=SQ8", "faiss:codes"):
            with self.assertRaises(ValueError, msg=wrong):
                engine.make(wrong)


FAKE = """
import json, sys, time, numpy as np
arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
how, base, queries = sys.argv[1], np.load(arguments["--base"]), np.load(arguments["--query"])
if how == "dies":
    sys.exit("no such processor")
print(json.dumps({"build_seconds": 1.0, "rss_bytes": 400 * len(base)}), flush=True)
for line in sys.stdin:
    for param in json.loads(line):
        if how == "crashes" and param == 20:
            sys.exit("lost its way")
        near = np.argsort(((queries[:, None] - base) ** 2).sum(2), axis=1)[:, :10]
        near[:, min(param, 40) // 4 :] = -1
        np.save(arguments["--base"] + str(param) + ".ids.npy", near)
        print(json.dumps({"param": param, "qps": 1e6 / param, "ids_file": arguments["--base"] + str(param) + ".ids.npy"}))
    print('{"end": true}', flush=True)
"""


class Contest(Folder):
    def contest(self, *hows: str) -> dict:
        np.save(self.folder / "vectors.npy", RANDOM.standard_normal((200, 6)).astype(np.float32))
        (self.folder / "fake.py").write_text(FAKE)
        data = sets.load(f"{self.folder / 'vectors.npy'}:queries=20", 10, self.folder, self.folder)
        command = [sys.executable, str(self.folder / "fake.py")]
        files = ["--base", str(data.base), "--query", str(data.queries)]
        self.contenders = [contest.Contender(how, [*command, how, *files], [10, 20, 36, 38, 40, 80]) for how in hows]
        with redirect_stderr(io.StringIO()):
            contest.run(self.contenders, data, 2, (0.9,), 60)
        return report.result(self.contenders, data, 10, 1, 2, "wall")

    def test_parameters_are_tried_until_recall_is_high_and_repeated_around_the_target(self) -> None:
        found = self.contest("works")
        points = found["engines"]["works"]["points"]
        self.assertEqual(list(points), ["10", "20", "36", "38", "40"])
        self.assertEqual([points[param]["recall"] for param in ("10", "20", "36")], [0.2, 0.5, 0.9])
        self.assertEqual([len(point["qps"]) for point in points.values()], [1, 2, 2, 1, 1])

    def test_failures_are_told_and_stop_nobody_else(self) -> None:
        found = self.contest("dies", "works", "crashes")
        self.assertEqual(list(found["engines"]), ["works"])
        self.assertIn("no such processor (exit status 1)", found["failed"]["dies"])
        self.assertIn("lost its way", found["failed"]["crashes"])

    def test_page_and_plot_hold_what_was_measured(self) -> None:
        found = self.contest("works")
        found["engines"]["kith <&>"] = found["engines"]["works"]
        path = self.folder / "found.json"
        report.save(found, path)
        page = report.page([json.loads(path.read_text())], "make bench")
        self.assertIn("| works | **27,778 (1.00)** |", page)  # 1e6 / 36: the first to reach 0.90
        self.assertIn("- at 0.90: kith <&> 1.00, best of the others works 1.00: 1.00 times", page)
        drawing = plot.draw(found)
        minidom.parseString(drawing)
        self.assertLess(len(drawing), 100_000)


class Reading(unittest.TestCase):
    def test_queries_per_second_at_a_recall(self) -> None:
        points = {"a": contest.Point(0.80, [100.0, 400.0]), "b": contest.Point(0.90, [100.0]), "c": contest.Point(0.85, [50.0]),
                  "d": contest.Point(0.99, [10.0])}
        line = report.frontier(points, "wall")
        self.assertEqual([name for _, _, name in line], ["a", "b", "d"], "c is beaten by b")
        self.assertAlmostEqual(report.at_recall(line, 0.85), 200.0, msg="between 400 and 100, log-linear")
        self.assertEqual(report.at_recall(line, 0.5), 400.0)
        self.assertIsNone(report.at_recall(line, 0.995))

    def test_processor_time_counts_where_it_is_known(self) -> None:
        with_cpu = contest.Point(0.9, qps=[10.0], cpu_qps=[30.0, 20.0], p50_us=[5.0], cpu_p50_us=[4.0, 3.0])
        self.assertEqual((with_cpu.best("cpu_qps"), with_cpu.best("cpu_p50_us"), with_cpu.best("qps")), (30.0, 3.0, 10.0))
        self.assertEqual(contest.Point(0.9, qps=[10.0]).best("cpu_qps"), 10.0)


if __name__ == "__main__":
    unittest.main()
