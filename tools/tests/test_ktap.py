#!/usr/bin/env python3
"""Tests of tools/ktap: for each of its rules a log that breaks only this one. Prints two numbers: passed and failed."""
import pathlib
import subprocess
import tempfile
import unittest

KTAP = pathlib.Path(__file__).resolve().parent.parent / "ktap"

# What a program of kselftest prints, and what tools/guest/selftest prints around it.
GOOD = """\
TAP version 13
1..2
# Starting 2 tests from 1 test cases.
#  RUN           global.one ...
#            OK  global.one
ok 1 global.one
ok 2 global.two
# PASSED: 2 / 2 tests passed.
# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:0 error:0
"""
PLAN_OF_TWO = "KTAP version 1\n1..2\n"


def program(name, output, end):
    return f"KTAP version 1\n# Subtest: {name}\n{output}\n{end}\n"


def document(output, end="ok 1 first"):
    """Two programs: the first as the test wants it, the second without fault, with two results."""
    return PLAN_OF_TWO + program("first", output, end) + program("second", GOOD, "ok 2 second")


class KtapCase(unittest.TestCase):
    def run_ktap(self, *arguments):
        return subprocess.run([KTAP, *arguments], capture_output=True, text=True, check=False)

    def count(self, log, *options):
        """The two numbers for a log."""
        with tempfile.NamedTemporaryFile("w", suffix=".tap") as file:
            file.write(log)
            file.flush()
            result = self.run_ktap(*options, file.name)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.complaints = result.stderr
        return tuple(map(int, result.stdout.split()))

    def assert_fails(self, log, passed, *options):
        """So many results pass, and something fails."""
        counted = self.count(log, *options)
        self.assertEqual(counted[0], passed, self.complaints)
        self.assertGreater(counted[1], 0, self.complaints)


class Selftest(KtapCase):
    """What tools/guest/selftest prints."""

    def test_results_are_counted_over_programs(self):
        self.assertEqual(self.count(document(GOOD)), (4, 0))
        self.assertEqual(self.complaints, "")

    def test_failed_result_counts_once_with_the_status_that_it_explains(self):
        log = document("TAP version 13\n1..2\nok 1 a\n# a.c:7:b:Expected 1 (1) == 2 (2)\nnot ok 2 b\n", "not ok 1 first # exit=1")
        self.assertEqual(self.count(log), (3, 1))
        self.assertIn("a.c:7:b:Expected 1 (1) == 2 (2)", self.complaints)

    def test_failed_result_counts_with_status_0(self):
        self.assertEqual(self.count(document("TAP version 13\n1..2\nok 1 a\nnot ok 2 b\n")), (3, 1))

    def test_status_that_no_result_explains(self):
        self.assertEqual(self.count(document(GOOD, "not ok 1 first # exit=139")), (4, 1))
        self.assertIn("first", self.complaints)

    def test_status_that_no_skipped_result_explains(self):
        log = document("TAP version 13\n1..1\nok 1 a # SKIP no disk\n", "not ok 1 first # exit=1")
        self.assertEqual(self.count(log), (2, 1))

    def test_last_program_without_end(self):
        self.assert_fails(PLAN_OF_TWO + program("first", GOOD, "ok 1 first") + program("second", GOOD, ""), 4)

    def test_program_without_end_before_another(self):
        self.assert_fails(document(GOOD, ""), 4)

    def test_program_that_did_not_begin(self):
        self.assert_fails(PLAN_OF_TWO + program("first", GOOD, "ok 1 first"), 2)

    def test_plan_not_reached(self):
        self.assertEqual(self.count(document("TAP version 13\n1..3\nok 1 a\nok 2 b\n")), (4, 1))
        self.assertIn("first: missing expected subtest", self.complaints)

    def test_missing_result_counts_beside_a_failed_one(self):
        self.assertEqual(self.count(document("TAP version 13\n1..3\nok 1 a\nnot ok 2 b\n", "not ok 1 first # exit=1")), (3, 2))

    def test_more_results_than_planned(self):
        log = PLAN_OF_TWO + program("first", GOOD, "ok 1 first") + program("second", GOOD + "ok 3 c\n", "ok 2 second")
        self.assert_fails(log, 4)

    def test_no_plan(self):
        self.assertEqual(self.count(document("TAP version 13\nok 1 a\nok 2 b\n")), (4, 1))
        self.assertIn("first: it has no plan", self.complaints)

    def test_nothing_but_a_good_status(self):
        self.assert_fails(document(""), 2)

    def test_nothing_but_a_bad_status(self):
        self.assertEqual(self.count(document("", "not ok 1 first # exit=127")), (2, 1))

    def test_plan_of_nothing(self):
        self.assert_fails(document("TAP version 13\n1..0\n"), 2)

    def test_skipped_result_neither_passes_nor_fails(self):
        self.assertEqual(self.count(document("TAP version 13\n1..2\nok 1 a\nok 2 b # SKIP no disk\n")), (3, 0))
        self.assertIn("first: b (no disk)", self.complaints)

    def test_skipped_result_without_a_name(self):
        self.assertEqual(self.count(document("TAP version 13\n1..2\nok 1 a\nok 2 # SKIP no disk\n")), (3, 0))

    def test_skipped_program_neither_passes_nor_fails(self):
        self.assertEqual(self.count(document("TAP version 13\n1..0 # SKIP not root\n", "ok 1 first # SKIP")), (2, 0))

    def test_status_4_with_results(self):
        log = document("TAP version 13\n1..2\nok 1 a\nok 2 b # SKIP no disk\n", "ok 1 first # SKIP")
        self.assertEqual(self.count(log), (3, 0))

    def test_status_4_does_not_excuse_a_plan_not_reached(self):
        self.assert_fails(document("TAP version 13\n1..3\nok 1 a\nok 2 b # SKIP no disk\n", "ok 1 first # SKIP"), 3)

    def test_skip_does_not_excuse_a_failed_result(self):
        self.assertEqual(self.count(document("TAP version 13\n1..2\nok 1 a\nnot ok 2 b # SKIP no disk\n")), (3, 1))

    def test_expected_failure_passes(self):
        self.assertEqual(self.count(document("TAP version 13\n1..2\nok 1 a\nok 2 b # XFAIL known\n")), (4, 0))

    def test_noise_between_results(self):
        noise = "[   12.345678] loop0: detected capacity change\nok then\nmkfs.xfs: 1..2 is no size\n\n"
        self.assertEqual(self.count("mount: no /mnt\n" + document(GOOD.replace("ok 2", noise + "ok 2")) + "# kmemleak\n"), (4, 0))

    def test_noise_in_front_of_a_result_hides_it(self):
        self.assert_fails(document(GOOD.replace("ok 2", "half a line ok 2")), 3)

    def test_half_a_line_of_a_killed_program(self):
        self.assert_fails(document(GOOD[: GOOD.index(" global.two")], "not ok 1 first # exit=137"), 4)

    def test_name_with_options(self):
        log = PLAN_OF_TWO + program("lsm_test -f smack", GOOD, "ok 1 lsm_test -f smack") + program("second", GOOD, "ok 2 second")
        self.assertEqual(self.count(log, "--must-run", "lsm_*"), (4, 0))

    def test_skipped_result_of_what_must_run(self):
        log = document("TAP version 13\n1..3\nok 1 a\nok 2 b # SKIP no policy\nok 3 c # SKIP no label\n")
        log = log.replace("first", "lsm_test -f smack")
        self.assertEqual(self.count(log, "--must-run", "lsm_*"), (3, 2))
        self.assertEqual(self.count(log, "--must-run", "second"), (3, 0))

    def test_all_of_what_must_run_skipped(self):
        log = document("TAP version 13\n1..0 # SKIP no policy\n", "ok 1 first # SKIP").replace("first", "lsm_test")
        self.assertEqual(self.count(log, "--must-run", "lsm_*"), (2, 1))

    def test_empty_log(self):
        self.assert_fails("", 0)

    def test_bytes_that_are_no_text(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(document(GOOD).replace("# Starting", "\x00\udcff").encode(errors="surrogateescape"))
            file.flush()
            self.assertEqual(self.run_ktap(file.name).stdout, "4 0\n")

    def test_no_log(self):
        result = self.run_ktap("/nonexistent/log")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("/nonexistent/log", result.stderr)


KUNIT = """\
Linux version 7.3.4 (builder@localhost)
KTAP version 1
1..2
    KTAP version 1
    # Subtest: ring
    # module: ring_kunit
    1..2
        KTAP version 1
        # Subtest: sizes
        ok 1 one page
        ok 2 two pages
    # sizes: pass:2 fail:0 skip:0 total:2
    ok 1 sizes
    ok 2 wraps
# ring: pass:2 fail:0 skip:0 total:2
ok 1 ring
    KTAP version 1
    # Subtest: filter
    1..1
    ok 1 all
ok 2 filter
reboot: System halted
"""


class Kunit(KtapCase):
    """The log of a kernel with KUnit."""

    def test_parameters_are_counted_one_by_one(self):
        self.assertEqual(self.count(KUNIT), (4, 0))

    def test_failed_parameter_counts_once(self):
        log = KUNIT.replace("ok 2 two", "not ok 2 two").replace("ok 1 sizes", "not ok 1 sizes").replace("ok 1 ring", "not ok 1 ring")
        self.assertEqual(self.count(log, "--status", "1"), (3, 1))

    def test_kernel_that_crashed(self):
        self.assert_fails(KUNIT[: KUNIT.index("    ok 2 wraps")] + "Kernel panic - not syncing: Segfault\n", 2)

    def test_suite_that_did_not_run(self):
        self.assert_fails(KUNIT.replace("1..2\n    KTAP", "1..3\n    KTAP", 1), 4)

    def test_status_that_no_result_explains(self):
        self.assertEqual(self.count(KUNIT, "--status", "2"), (4, 1))


class Libtest(KtapCase):
    """The log of cargo test."""

    OK = "test ring::wraps ... ok\n\ntest result: ok. 52 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 5.40s\n"
    BAD = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n"

    def test_results_are_counted_over_binaries(self):
        self.assertEqual(self.count(self.OK + self.OK, "--libtest", "--status", "0"), (104, 0))

    def test_status_of_failed_tests_counts_no_further(self):
        self.assertEqual(self.count(self.OK + self.BAD, "--libtest", "--status", "101"), (55, 2))

    def test_failed_tests_count_with_status_0(self):
        self.assertEqual(self.count(self.OK + self.BAD, "--libtest", "--status", "0"), (55, 2))

    def test_status_that_no_result_explains(self):
        self.assertEqual(self.count(self.OK + "error: test failed (signal: 11)\n", "--libtest", "--status", "101"), (52, 1))

    def test_what_a_test_prints_is_no_result(self):
        self.assertEqual(self.count(self.OK + "---- a stdout ----\n> " + self.BAD, "--libtest", "--status", "0"), (52, 0))


class Compare(KtapCase):
    """The logs of two kernels."""

    def compare(self, base, ours):
        with tempfile.NamedTemporaryFile("w", suffix=".tap") as file:
            file.write(base)
            file.flush()
            return self.count(ours, "--compare", file.name)

    def test_same(self):
        self.assertEqual(self.compare(document(GOOD), document(GOOD + "# other words\n")), (6, 0))

    def test_failure_of_both_is_the_same(self):
        log = document(GOOD.replace("ok 2", "not ok 2"))
        self.assertEqual(self.compare(log, log), (6, 0))

    def test_other_result(self):
        self.assertEqual(self.compare(document(GOOD), document(GOOD.replace("ok 2", "not ok 2"))), (5, 1))
        self.assertIn("- first: ok 2 global.two", self.complaints)
        self.assertIn("+ first: not ok 2 global.two", self.complaints)

    def test_better_result_is_different_too(self):
        self.assertEqual(self.compare(document(GOOD.replace("ok 2", "not ok 2")), document(GOOD)), (5, 1))

    def test_skipped_result_is_different(self):
        self.assertEqual(self.compare(document(GOOD), document(GOOD.replace("global.two", "global.two # SKIP"))), (5, 1))

    def test_other_status(self):
        base, ours = (document(GOOD, f"not ok 1 first # exit={status}") for status in (1, 139))
        self.assertEqual(self.compare(base, ours), (5, 1))

    def test_result_that_is_missing(self):
        self.assertEqual(self.compare(document(GOOD), document(GOOD.replace("ok 2 global.two\n", ""))), (5, 1))

    def test_result_that_is_new(self):
        self.assertEqual(self.compare(document(GOOD), document(GOOD + "ok 3 global.three\n")), (6, 1))

    def test_result_of_another_program(self):
        base = program("a", "ok 1 x\n", "ok 1 a") + program("b", "not ok 1 x\n", "ok 2 b")
        ours = program("a", "not ok 1 x\n", "ok 1 a") + program("b", "ok 1 x\n", "ok 2 b")
        self.assertEqual(self.compare(base, ours), (2, 2))


if __name__ == "__main__":
    outcome = unittest.main(exit=False).result
    bad = len(outcome.failures) + len(outcome.errors) + len(outcome.unexpectedSuccesses)
    print(outcome.testsRun - bad, bad)
