#!/usr/bin/env python3
"""Tests of tools/parts, in small repositories that are made for them."""
import os
import pathlib
import subprocess
import tempfile
import unittest

PARTS = pathlib.Path(__file__).resolve().parent.parent / "parts"
TABLE = "scripts/syscall.tbl"
UNISTD = "include/uapi/asm-generic/unistd.h"
SPARE = "include/uapi/linux/mount.h"
GOOD = 'watch_queue: do it\n\nText.\n\nFixes: 0123456789ab ("watch_queue: do not")\nAssisted-by: LLM\n'


def unistd(*names, count):
    numbers = {"first": 1, "second": 2, "third": 3}
    defined = "".join(f"#define __NR_{name} {numbers[name]}\n__SYSCALL(__NR_{name}, sys_{name})\n\n" for name in names)
    return f"{defined}#undef __NR_syscalls\n#define __NR_syscalls {count}\n\n/* the end */\n"


class Repository(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.git("init", "-q")
        self.git("config", "merge.table.driver", f"{PARTS}/merge-table %O %A %B %P")
        (self.folder / ".git/info/attributes").write_text("".join(f"{path} merge=table\n" for path in (TABLE, UNISTD, SPARE)))

    def git(self, *arguments):
        identity = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = dict(os.environ, **identity, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null")
        result = subprocess.run(["git", "-C", self.folder, *arguments], env=environment, check=True, capture_output=True, text=True)
        return result.stdout.strip()

    def commit(self, files, message=GOOD):
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def base(self, files):
        self.commit(files, "base")
        self.git("tag", "base")

    def run_tool(self, tool, *arguments):
        return subprocess.run([PARTS / tool, self.folder, *arguments], capture_output=True, text=True)

    def pick(self, commit):
        """Onto the base, without what comes between."""
        self.git("checkout", "-q", "base")
        self.git("cherry-pick", commit)
        return self.git("rev-parse", "HEAD")


class Replay(Repository):
    def test_the_entry_of_another_part_does_not_come_along(self):
        self.base({TABLE: "1 common first\n"})
        self.commit({TABLE: "1 common first\n2 common second\n"})
        third = self.commit({TABLE: "1 common first\n2 common second\n3 common third\n"})
        copy = self.pick(third)
        self.assertEqual((self.folder / TABLE).read_text(), "1 common first\n3 common third\n")
        self.assertEqual(self.run_tool("replayed", third, copy).stdout, "")

    def test_the_count_is_above_the_only_new_entry(self):
        self.base({UNISTD: unistd("first", count=2)})
        self.commit({UNISTD: unistd("first", "second", count=3)})
        third = self.commit({UNISTD: unistd("first", "second", "third", count=4)})
        copy = self.pick(third)
        self.assertEqual((self.folder / UNISTD).read_text().split(), unistd("first", "third", count=4).split())
        self.assertEqual(self.run_tool("replayed", third, copy).stdout, "")

    def test_spare_words_shrink_by_what_the_patch_takes(self):
        self.base({SPARE: "__u64 first;\n__u64 __spare2[9];\n"})
        self.commit({SPARE: "__u64 first;\n__u64 second;\n__u64 __spare2[8];\n"})
        third = self.commit({SPARE: "__u64 first;\n__u64 second;\n__u64 __spare2[6];\n__u64 third[2];\n"})
        copy = self.pick(third)
        self.assertEqual((self.folder / SPARE).read_text(), "__u64 first;\n__u64 __spare2[7];\n__u64 third[2];\n")
        self.assertEqual(self.run_tool("replayed", third, copy).stdout, "")

    def test_spare_words_that_are_gone_are_found(self):
        spare = "__u64 __spare2[9];\n"
        self.check_fault(SPARE, spare, spare + "__u64 first;\n", "__u64 first;\n", "__spare2[] is not declared once")

    def check_fault(self, path, before, after, wrong, fault):
        self.base({path: before})
        original = self.commit({path: after})
        self.git("checkout", "-q", "base")
        result = self.run_tool("replayed", original, self.commit({path: wrong}))
        self.assertIn(fault, result.stdout)
        self.assertEqual(result.returncode, 1)

    def test_a_lost_line_is_found(self):
        self.check_fault("a", "1\n", "1\n2\n3\n", "1\n2\n", "a: +1 in the series' patch, +0 here: 3")

    def test_a_line_too_many_is_found(self):
        self.check_fault("a", "1\n", "1\n2\n", "1\n2\n3\n", "a: +0 in the series' patch, +1 here: 3")

    def test_a_number_that_stands_twice_is_found(self):
        line = "1 common first\n"
        self.check_fault(TABLE, line, line + "1 common second\n", line + "1 common second\n", "number 1 twice for common")

    def test_a_count_that_is_too_low_is_found(self):
        good, bad = unistd("first", "second", count=3), unistd("first", "second", count=2)
        self.check_fault(UNISTD, unistd("first", count=2), good, bad, "__NR_syscalls is 2, and there is a number 2")


class OwnLines(Repository):
    def own_lines(self):
        result = self.run_tool("own-lines", "10")
        return result.stdout.splitlines()[-1].split(":")[0], result.returncode

    def test_lines_of_the_base_do_not_count(self):
        self.base({"a": "1\n2\n3\n"})
        self.commit({"a": "1\n3\n4\n"})
        self.assertEqual(self.own_lines(), ("0 of 1 lines that the series adds are removed by a later patch of it", 0))

    def test_lines_are_followed_through_a_rename(self):
        text = "".join(f"line {number}\n" for number in range(20))
        self.base({"a": text})
        self.commit({"a": "new\n" + text})
        self.git("mv", "a", "b")
        self.commit({"b": "other\nnew\n" + text})
        self.commit({"b": "other\n" + text})
        self.assertEqual(self.own_lines(), ("1 of 2 lines that the series adds are removed by a later patch of it", 1))


class Messages(Repository):
    def faults(self, message, files=None):
        self.base({"a": "1\n"})
        self.commit(files or {"a": "2\n"}, message)
        return self.run_tool("messages").stdout

    def test_a_good_one(self):
        self.assertEqual(self.faults(GOOD), "")

    def test_a_wrapped_trailer(self):
        self.assertIn("not on one line", self.faults(GOOD.replace(' ("watch_queue: do', ' ("watch_queue:\n do')))

    def test_a_trailer_in_the_text(self):
        self.assertIn("does not read this line", self.faults(GOOD.replace("Text.", "Text.\n\nReported-by: A <a@example.org>\n\nMore.")))

    def test_a_short_id(self):
        self.assertIn("not of the form", self.faults(GOOD.replace("0123456789ab", "0123456")))

    def test_a_sign_off(self):
        self.assertIn("Signed-off-by", self.faults(GOOD + "Signed-off-by: A <a@example.org>\n"))

    def test_no_assistance(self):
        self.assertIn("no Assisted-by", self.faults(GOOD.replace("Assisted-by: LLM\n", "")))

    def test_a_long_subject(self):
        self.assertIn("has 76 characters", self.faults("x" * 76 + GOOD[GOOD.index("\n"):]))

    def test_many_lines_of_tests(self):
        self.assertIn("adds 1001 lines of tests", self.faults(GOOD, {"tools/testing/a": "1\n" * 1001}))


if __name__ == "__main__":
    unittest.main()
