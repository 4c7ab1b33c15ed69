# SPDX-License-Identifier: GPL-2.0
"""Tell what the benchmark found: a table, JSON, plots, a document, and which goals are missed.

report.py RESULTS DOCUMENTATION: write RESULTS/bench.json and DOCUMENTATION/performance{.md,/*.svg}
report.py RESULTS --check: write only the JSON, and fail if a goal is missed
"""

import collections
import json
import os
import sys

PEERS = {
    "ring": "/dev/watch_queue",
    "pipe": "notification pipe",
    "fanotify": "fanotify",
    "mountinfo": "/proc/self/mountinfo",
    "statmount": "listmount() + statmount()",
    "ringbuf": "BPF ring buffer",
    "perf": "perf ring buffer",
}
MOUNTS = (100, 1000, 10000)
STORM = 10000


def read(path):
    """{name: {parameter: value}} of lines NAME PARAMETER VALUE."""
    results = collections.defaultdict(dict)
    with open(path) as lines:
        for line in lines:
            name, parameter, value = line.split()
            results[name][int(parameter)] = int(value)
    return results


def read_traces(path):
    """{name: trace}; of those with the same name the shortest, as something else may be done along with the others."""
    with open(path) as file:
        traces = sorted(json.load(file), key=lambda trace: -trace["total"])
    return {trace["name"]: trace for trace in traces}


def number(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


class Goals:
    def __init__(self):
        self.rows = []

    def add(self, what, value, limit, met=None):
        met = value <= limit if met is None else met
        self.rows.append({"what": what, "value": value, "goal": limit, "met": met})

    def missed(self):
        return [row for row in self.rows if not row["met"]]


def judge(r, traces, base_traces, idle, inlined):
    """The goals, and what came of them."""
    goals = Goals()
    post, pipe, bpf = (traces[f"post-{peer}"]["total"] for peer in ("ring", "pipe", "ringbuf"))
    ready = r["learn-ring"]

    goals.add("poll() of a ready ring and one mount record, 100 mounts", ready[100], 1000)
    for mounts in MOUNTS[1:]:
        goals.add(f"the same, {mounts:,} mounts: equal", ready[mounts], ready[100], ready[mounts] == ready[100])
    goals.add("one mount record, without a system call", r["learn-ring-mapped"][100], 50)
    for mounts in MOUNTS:
        goals.add(f"the same as the first, from sleep, {mounts:,} mounts", r["asleep-ring"][mounts], 4500)
        goals.add("the same, below fanotify", r["asleep-ring"][mounts], r["asleep-fanotify"][mounts] - 1)
    # Without an LLVM that rustc and clang share, the helpers of Rust are calls.
    goals.add("post of 24 bytes to one watcher", post, 152 if inlined else 187)
    goals.add("the same, below the pipe", post, pipe - 1)
    goals.add("the same, below the BPF ring buffer", post, bpf - 1)
    goals.add("take a record of 24 bytes, in bursts of 100", r["consume-ring"][24], 25)
    # Equal most often, 4 more in one boot of four: what differs is not known.
    goals.add("update of a key that nobody watches, more than base", idle["all"][0], 4)
    goals.add("read of a block that nobody watches, more than base", idle["all"][1], 2)
    mount = sum(base_traces[name]["total"] for name in ("idle-mount", "idle-umount"))
    goals.add("mount and umount that nobody watches, least of 5, more than base", sum(idle["all"][2:]), 10)
    goals.add("the same, in % of the base", round(100 * sum(idle["all"][2:]) / mount, 2), 0.1)
    goals.add("event filtered out by type", traces["filtered-type-ring"]["total"], 60)
    goals.add("event filtered out by subtype", traces["filtered-subtype-ring"]["total"], 130)
    goals.add("event filtered out by info", traces["filtered-info-ring"]["total"], 130)
    slopes = {n: (v - r["watchers"][1]) / (n - 1) for n, v in r["watchers"].items() if n > 1}
    goals.add("1,000 watchers on an object: a further one", slopes[1000], 120)
    goals.add("the same, against the tenth", slopes[1000] / slopes[10], 1.05)
    goals.add("1,000 queues on other objects, against one", r["queues"][1000] / r["queues"][1], 1.01)
    goals.add("memory of a queue beyond its page, bytes", r["memory-queue"][1], 1024)
    goals.add("memory of a queue beyond its 16 pages, bytes", r["memory-queue"][16], 1024)
    goals.add("memory of a watch on a key, bytes", r["memory-watch"][0], 256)
    goals.add("memory of a watch on mounts, bytes", r["memory-mount-watch"][0], 256)
    return goals, slopes[1000]


DEPTHS = (10, 1000, 4000)
LOCKS = (("mount_lock", "held-mount-lock", 1.15), ("namespace_sem", "held-namespace-sem", 1.4))


def judge_burden(goals, b, locks):
    """What a watch on mounts makes others pay."""

    def ratio(what, value, base, limit):
        goals.add(what, round(value / base, 2), limit)

    for where in ("root", "directory"):
        for depth in DEPTHS:
            ratio(
                f"umount -l of 1,000 mounts at depth {depth:,}, the {where} at the top is watched, to unwatched",
                b[f"umount-watched-{where}"][depth], b["umount-unwatched"][depth], 1.4,
            )
    for lock, name, limit in LOCKS:
        (mounts, theirs), (_, ours) = (pair for figures in locks for pair in figures[name].items())
        ratio(f"umount -l of {mounts:,} mounts that are watched: time with {lock} held, to base", ours, theirs, limit)
    for mounts in (10, 10000):
        idle = b["rename-unwatched"][mounts]
        ratio(f"rename with {mounts:,} mounts, watched once before, to unwatched", b["rename-watched-before"][mounts], idle, 1.05)
        ratio("the same, watched now", b["rename-watched"][mounts], idle, 1.2)
    for namespaces, watched in b["namespaces-watched"].items():
        ratio(
            f"mount and umount, {b['namespaces-watches'][namespaces]:,} watches of one user in {namespaces} namespaces, to none",
            watched, b["namespaces-unwatched"][namespaces], 2,
        )
    more = {mounts: b["watch-rmdir"][mounts] - b["rmdir"][mounts] for mounts in (10, 10000)}
    ratio("watch, unwatch, and what they add to mkdir and rmdir, with 10,000 mounts, to 10", more[10000], more[10], 1.1)
    goals.add("wake-ups of a reader that keeps up by umount -l of 1,000 mounts", b["umount-wakeups"][1000], 1)
    ratio("mount and umount, 10,000 epoll instances wait for the ring, to mountinfo", b["epolls-ring"][10000], b["epolls-mountinfo"][10000], 1)
    for what in ("mount", "rename"):
        ratio(f"a {what} of another user under attack, to alone", b[f"attacked-{what}"][0], b[f"alone-{what}"][0], 2)
    # By function, the least that was found is in design.md, section 7.
    goals.add("mount and umount watched by one queue, more than unwatched", b["mount-watched"][1], 2150)
    goals.add("the same, by 64 queues", b["mount-watched"][64], 21000)
    goals.add("the same, by one, below fanotify", b["mount-watched"][1], b["mount-fanotify"][1] - 1)
    goals.add("mount_setattr() watched by one queue, more than unwatched", b["setattr-watched"][1], 1150)


def table(header, rows):
    """Lines of a table in Markdown, which can be read on a terminal too."""
    rows = [[str(cell) for cell in row] for row in [header] + rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    left = [i == 0 or not any(row[i][:1].isdigit() for row in rows[1:]) for i in range(len(header))]

    def line(row):
        cells = (c.ljust(w) if l else c.rjust(w) for c, w, l in zip(row, widths, left))
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ("-" if l else ":") for w, l in zip(widths, left)) + "|"
    return [line(rows[0]), rule] + [line(row) for row in rows[1:]] + [""]


def compared(results, prefix, peers, parameters):
    """A row for each peer: its figures, and how often ours goes into the last one."""
    if isinstance(parameters, int):
        parameters = [parameters]
    last = parameters[-1]
    ours = results[f"{prefix}-ring"][last]
    rows = []
    for peer in peers:
        figures = results.get(f"{prefix}-{peer}")
        if figures:
            rows.append(
                [PEERS[peer]] + [number(figures[p]) for p in parameters] + [f"{figures[last] / ours:,.2f}"]
            )
    return rows


# What in a trace is whose, by the names of functions; the first that fits.
OWNERS = (
    ("fan-out over the watches (kernel/watch_queue.c)", ("__post_watch_notification", "post_tailored")),
    ("LSM hook", ("security_",)),
    ("helpers in C that Rust calls, as they are not inlined", ("rust_helper_",)),
    ("the queue, in Rust", ("Producer::", "Backend::", "Ring::", "user_pages::", "File::poll", "MiscDevice::", "PollTable::", "CondVar::")),
    ("spinlocks and interrupts", ("_raw_spin_",)),
    ("poll() and the system call", ("do_sys_poll", "__x64_sys_poll", "x64_sys_call", "do_syscall_64", "entry_", "syscall_", "memset", "memcpy", "_copy_", "rep_", "fdget", "fput", "poll", "__pollwait", "add_wait_queue", "remove_wait_queue", "fpregs", "arch_exit", "tick_nohz_user")),
    ("the program", ("(user",)),
    ("scheduler and context switch", ("",)),
)


def by_owner(trace):
    counts = dict.fromkeys((owner for owner, _ in OWNERS), 0)
    for function, count in trace["functions"]:
        counts[next(owner for owner, starts in OWNERS if function.startswith(starts))] += count
    return [[owner, count] for owner, count in counts.items() if count] + [["all", trace["total"]]]


IDLE = {"idle-key": "update of a key", "idle-block": "read of a block", "idle-mount": "mount", "idle-umount": "umount"}


def more_when_idle(traces, base_traces, functions):
    """{function: [for each of IDLE]} of how many more instructions than in the base kernel, and for "all"."""
    more = collections.defaultdict(lambda: [0] * len(IDLE))
    for column, name in enumerate(IDLE):
        for sign, trace in ((1, traces[name]), (-1, base_traces[name])):
            for function, count in trace["functions"]:
                if function in functions:
                    more[function][column] += sign * count
    more = {function: columns for function, columns in more.items() if any(columns)}
    more["all"] = [sum(column) for column in zip(*more.values())] or [0] * len(IDLE)
    return more


def owners(traces):
    """Whose the instructions are that are spent on a post, and from sleep to sleep."""
    post = by_owner(traces["post-ring"])
    shared = sum(count for owner, count in post if owner.startswith(("fan-out", "LSM", "spinlocks")))
    helpers = any(owner.startswith("helpers") for owner, _ in post)
    yield (
        "Whose they are",
        f"{shared} of a post go to the fan-out, the hook and the lock, which are the same for a pipe; a BPF ring\n"
        "buffer has neither a list of watchers nor a hook, and a lock of its own that is inlined."
        + (" The helpers\nwould be inlined if rustc and clang were of the same LLVM." if helpers else ""),
        table(["post of 24 bytes", "instructions"], post),
    )
    if "asleep-ring" in traces:
        yield (
            "From sleep",
            "From the call that wakes the reader to when it calls the scheduler to sleep again. The switch back to\n"
            "the poster comes on top. poll() asks the queue twice, before it sleeps and after.",
            table(["", "instructions"], by_owner(traces["asleep-ring"])),
        )


def sections(r, b, locks, traces, idle, posters, native, goals, slope):
    """(title, text, table) of each part of the document."""
    mounts = [f"{n:,} mounts" for n in MOUNTS]
    posts = {f"post-{p}": {24: traces[f"post-{p}"]["total"]} for p in ("ring", "pipe", "ringbuf", "perf") if f"post-{p}" in traces}
    consume = {f"consume-{p}": {24: next(iter(r[f"consume-{p}"].values()))} for p in ("ring", "pipe", "ringbuf", "perf") if r.get(f"consume-{p}")}
    yield "Goals", "", table(
        ["", "found", "goal", ""],
        [[g["what"], number(g["value"]), number(g["goal"]), "met" if g["met"] else "MISSED"] for g in goals.rows],
    )
    yield (
        "Learning of one mount",
        "One mount was made among so many; the notification is there. What it takes to learn which, by\n"
        "poll() and the mechanism's own way of reading; that it is the right one is looked at each time.\n"
        "(`listmount()` and `statmount()` have no notification: that is the reading alone. Neither there nor with\n"
        "`mountinfo` is what was read compared with what was known before, without which one knows nothing.)",
        table(
            [""] + mounts + ["ratio"],
            compared(r, "learn", ("ring", "pipe", "fanotify", "mountinfo", "statmount"), MOUNTS)
            + [["/dev/watch_queue, without poll()"] + [number(r["learn-ring-mapped"][n]) for n in MOUNTS]
               + [f"{r['learn-ring-mapped'][MOUNTS[-1]] / r['learn-ring'][MOUNTS[-1]]:,.2f}"]],
        ),
    )
    yield (
        "The same, from sleep",
        "A process sleeps in poll(). All from the event to when it sleeps again, less the same with nobody asleep.",
        table([""] + mounts + ["ratio"], compared(r, "asleep", ("ring", "pipe", "fanotify"), MOUNTS)),
    )
    yield (
        "Posting",
        "A record of 24 bytes to one watcher that is behind and does not sleep. Watch queues: from the first\n"
        "instruction of `__post_watch_notification()` to its return; the record is one of a key, of 16 bytes, whose\n"
        "length the tracer sets to 24. BPF: from that of the helper to its return. Without an LSM that looks at\n"
        "records, as most do not.",
        table(["", "post", "ratio"], compared(posts, "post", ("ring", "pipe", "ringbuf", "perf"), 24))
        + table(
            ["/dev/watch_queue and pipe", "ring", "pipe"],
            [
                [what, number(traces[f"{name}-ring"]["total"]), number(traces[f"{name}-pipe"]["total"])]
                for what, name in (
                    ("filtered out by type", "filtered-type"),
                    ("filtered out by subtype", "filtered-subtype"),
                    ("filtered out by info", "filtered-info"),
                    ("poll() of what is ready, in the kernel", "poll"),
                )
            ],
        ),
    )
    for name in ("post-ring", "post-pipe", "post-ringbuf", "poll-ring"):
        if name in traces:
            t = traces[name]
            yield (
                f"Where they go: {name}" + (f", {t['length']} bytes" if t["length"] else ""),
                "",
                table(["function", "instructions"], [[f"`{f}`", c] for f, c in t["functions"]] + [["all", t["total"]]]),
            )
    yield (
        "Taking records",
        "In bursts of 100; records of 24 bytes, of 16 in the pipe. The pipe takes a system call for each 100.\n"
        "Taken is the header of each, by which it is told apart; what else is in it is not looked at.",
        table(["", "a record", "ratio"], compared(consume, "consume", ("ring", "pipe", "ringbuf", "perf"), 24)),
    )
    yield (
        "Nobody watches",
        "How many more instructions than in the base kernel, built with the same configuration, it takes to\n"
        "allocate and clear objects, and in the functions of `fs/namespace.c`, `fs/super.c`, `fs/pnode.c`,\n"
        "`security/keys/`, `block/` and of the series. (A mount takes some thousand more or less each time, in the\n"
        "allocator of per-CPU memory and in the scheduler.) The mount is a bind mount, so that no superblock is\n"
        "made; the umount is one with `MNT_DETACH`, and does not wait for `cleanup_mnt()`. The block is read from\n"
        "null_blk, which completes it before the system call returns. In mounts it is the counts of changes and\n"
        "the places that are patched as long as somebody watches.",
        table(["function", *IDLE.values()], [[f"`{f}`" if f != "all" else f, *n] for f, n in idle.items()]),
    )
    yield (
        "Many watchers, many queues",
        f"What a watch adds to the update of a key. Each further watcher of the same key takes {slope:,.0f}.",
        table(
            ["", "watchers of the key", "a watcher", "watchers of other keys"],
            [[f"{n:,}", number(v), number(v / n), number(r["queues"][n])] for n, v in r["watchers"].items()],
        ),
    )
    yield (
        "What a watch on mounts makes others pay",
        "The least of a number of tries: an interrupt can only add to that. A mount and a umount; for renames, a\n"
        "directory that goes to another one and back. The user in the namespaces has no capabilities outside. The\n"
        "locks: by CONFIG_LOCK_STAT, shared or not, in kernels with lockdep, which takes most of the time.",
        table(
            ["", "unwatched", "watched", "ratio"],
            [
                [f"umount -l of 1,000 mounts, {depth:,} directories deep, the {where} is watched"]
                + [number(b["umount-unwatched"][depth]), number(b[f"umount-watched-{where}"][depth])]
                + [f"{b[f'umount-watched-{where}'][depth] / b['umount-unwatched'][depth]:.2f}"]
                for depth in DEPTHS
                for where in ("root", "directory")
            ]
            + [
                [f"rename, {mounts:,} mounts on the filesystem, {what}"]
                + [number(b["rename-unwatched"][mounts]), number(b[name][mounts]), f"{b[name][mounts] / b['rename-unwatched'][mounts]:.2f}"]
                for mounts in (10, 10000)
                for name, what in (("rename-watched-before", "watched before"), ("rename-watched", "watched"))
            ]
            + [
                [f"mount and umount, {b['namespaces-watches'][n]:,} watches in {n} user namespaces"]
                + [number(b["namespaces-unwatched"][n]), number(v), f"{v / b['namespaces-unwatched'][n]:.2f}"]
                for n, v in b["namespaces-watched"].items()
            ],
        )
        + table(
            ["umount -l of 10,000 mounts: time with a lock held", "base, unwatched", "watched", "ratio"],
            [
                [lock] + [number(figures[name][10000]) for figures in locks] + [f"{locks[1][name][10000] / locks[0][name][10000]:.2f}"]
                for lock, name, _ in LOCKS
            ],
        )
        + table(
            ["another user", "alone", "beside a busy user", "who also watches", "ratio to alone"],
            [
                [what]
                + [number(b[f"{how}-{what}"][0]) for how in ("alone", "busy", "attacked")]
                + [f"{b[f'attacked-{what}'][0] / b[f'alone-{what}'][0]:.2f}"]
                for what in ("mount", "rename")
            ],
        )
        + table(
            ["more than unwatched, watched by", "mount and umount", "mount_setattr()"],
            [[f"{n} queues" if n > 1 else "one queue", number(v), number(b["setattr-watched"][n]) if n in b["setattr-watched"] else ""] for n, v in b["mount-watched"].items()]
            + [["fanotify", number(b["mount-fanotify"][1]), ""]],
        )
        + table(
            ["10,000 epoll instances wait for", "mount and umount"],
            [["the ring", number(b["epolls-ring"][10000])], ["/proc/self/mountinfo", number(b["epolls-mountinfo"][10000])]],
        ),
    )
    yield (
        "Memory",
        "By `/proc/slabinfo`, for a thousand of each. The sums are without the `struct file`, which any\n"
        "descriptor has. The first watch on an object also sets up what all watches on it share: that is in the\n"
        "sum where each watch is on a directory of its own.",
        table(
            ["", "bytes"],
            [
                [n.split("-", 1)[1] + (f", {pages} pages" if pages > 1 else ""), number(bytes)]
                for n, v in sorted(r.items())
                if n.startswith("memory-")
                for pages, bytes in v.items()
            ],
        ),
    )
    rows = []
    for storm, what in (("single", "one by one"), ("bulk", "in one system call"), ("stopped", "reader stopped")):
        for peer in ("ring", "pipe", "fanotify"):
            n = {k: r[f"{storm}-{peer}-{k}"][STORM] for k in ("wakeups", "events", "lost")}
            share = 100 * (STORM - min(n["events"], STORM)) / STORM
            ratio = n["wakeups"] / r[f"{storm}-ring-wakeups"][STORM]
            rows.append(
                [f"{what}: {PEERS[peer]}", number(n["wakeups"]), f"{ratio:,.2f}", number(n["events"] / max(n["wakeups"], 1)), f"{share:.1f} %"]
            )
    yield (
        f"A storm of {STORM:,} changes of mounts",
        "To a ring of 16 pages, a pipe of 512 notes and a fanotify group with the default limit of 16,384\n"
        "events; the reader and the storm share a processor. A reader that is woken takes all there is, with a\n"
        "pipe and fanotify by as many calls as that needs. After a loss or a restart, whether the mounts of a\n"
        f"namespace have changed since is told by the counter in one call of statmount(), {r['resync-counter'][STORM]:,} instructions;\n"
        f"if they have, all have to be asked for: {r['resync-statmount'][STORM]:,} by listmount() and statmount(),\n"
        f"{r['resync-mountinfo'][STORM]:,} by mountinfo, whichever mechanism told of the loss.",
        table(["", "wake-ups", "ratio", "events each", "lost"], rows),
    )
    yield from owners(traces)
    rows = []
    for cpus, p in posters.items():
        names = ("none", "ring", "pipe", "bpf-none", "ringbuf")
        rows.append(
            [f"{cpus} processors"]
            + [number(p[f"posters-{n}"][cpus]) if f"posters-{n}" in p else "" for n in names]
            + [f"{p['posters-pipe'][cpus] / p['posters-ring'][cpus]:,.2f}"]
        )
    yield (
        "Several posters",
        "As many processes, each on a processor, post to one queue at the same time: ns until each has posted one\n"
        "event, in the round that was disturbed least. Wall time of an emulated machine on what processors there\n"
        "are: only the ratios in a row tell something, and with more processors than the host has, little.",
        table(["", "update of a key", "+ " + PEERS["ring"], "+ " + PEERS["pipe"], "BPF program", "+ " + PEERS["ringbuf"], "pipe to ring"], rows),
    )

    rows = []
    for what, name in (("post", "native-post"), ("take", "native-take")):
        (records, us), = native[name].items()
        rows.append([f"{what}, of {records:,}", number(1000 * us / records)])
    yield (
        "At native speed",
        "The KUnit benchmark on user-mode Linux: records of 24 bytes in bursts of 100, without a watch list, a\n"
        "hook or a second processor. It tells of the machine on which `make bench` was run.",
        table(["", "ns each"], rows),
    )


def plot(path, title, label, lines):
    import matplotlib

    matplotlib.use("svg")
    # The same input gives the same file.
    matplotlib.rcParams["svg.hashsalt"] = "bench"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    for name, points in lines:
        axes.loglog(list(points), list(points.values()), marker="o", markersize=4, label=name)
    axes.set(title=title, xlabel=label, ylabel="instructions")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def write_document(folder, r, parts):
    pictures = os.path.join(folder, "performance")
    os.makedirs(pictures, exist_ok=True)
    learn = [(PEERS[p], r[f"learn-{p}"]) for p in ("ring", "pipe", "fanotify", "mountinfo", "statmount")]
    learn.append(("/dev/watch_queue, without poll()", r["learn-ring-mapped"]))
    plot(f"{pictures}/mounts.svg", "Learning of one mount", "mounts in the namespace", learn)
    plot(f"{pictures}/watchers.svg", "Posting to many watchers", "watchers of the object", [(PEERS["ring"], r["watchers"])])
    plot(f"{pictures}/queues.svg", "Posting to one watcher of many", "queues that watch other objects", [(PEERS["ring"], r["queues"])])
    shown = {"Learning of one mount": ["mounts"], "Many watchers, many queues": ["watchers", "queues"]}
    with open(os.path.join(folder, "performance.md"), "w") as out:
        out.write(
            "# Performance\n\n"
            "Written by `make bench`. The figures are instructions, counted in a VM of one processor whose clock\n"
            "advances by 1 ns with each (QEMU's `-icount shift=0`), less the cost of reading the clock; where a\n"
            "function of the kernel is named, one step at a time through QEMU's gdb server. They repeat exactly,\n"
            "or to some 0.1 %. Instructions are not time: they say nothing of caches, of branches or of what a\n"
            "barrier takes. The kernel is that of `make kernel`: `ci/*.config`, x86-64, without mitigations against\n"
            "speculation, SELinux and Smack built in but not active. The programs are in `tools/benchmark/`, each\n"
            "mechanism in a file of its own. A ratio is to /dev/watch_queue.\n\n"
        )
        for title, text, lines in parts:
            out.write(f"## {title}\n" + (f"{text}\n" if text else "") + "\n" + "\n".join(lines) + "\n")
            for name in shown.get(title, []):
                out.write(f"![{title}](performance/{name}.svg)\n\n")


def main():
    folder, target = sys.argv[1:3]
    r = read(f"{folder}/counted.txt")
    traces, base_traces = read_traces(f"{folder}/trace.json"), read_traces(f"{folder}/base-trace.json")
    posters = {n: f"{folder}/posters-{n}.txt" for n in (2, 4)}
    posters = {n: read(path) for n, path in posters.items() if os.path.exists(path)}
    with open(f"{folder}/own-functions.txt") as file:
        # key_lookup() searches a tree by a random number.
        functions = set(file.read().split()) - {"key_lookup"} | {"kmem_cache_alloc_noprof"}
    # Memory of CPUs is cleared as well, which takes longer if it happens to be misaligned.
    slab = {"kmem_cache_alloc_noprof", "__kmalloc_cache_noprof", "__kmalloc_noprof", "__kmalloc_node_track_caller_noprof"}
    functions |= {f"memset for {function}" for function in functions | slab}
    idle = more_when_idle(traces, base_traces, functions)
    inlined = not any(f.startswith("rust_helper_") for f, _ in traces["post-ring"]["functions"])
    goals, slope = judge(r, traces, base_traces, idle, inlined)
    burden = read(f"{folder}/burden.txt")
    locks = [read(f"{folder}/{name}.txt") for name in ("locks-base", "locks")]
    judge_burden(goals, burden, locks)
    native = read(f"{folder}/native.txt")
    parts = list(sections(r, burden, locks, traces, idle, posters, native, goals, slope))
    for title, _, lines in parts:
        print(title, *lines, sep="\n")
    with open(f"{folder}/bench.json", "w") as out:
        results = {"counted": r, "burden": burden, "idle": idle, "posters": posters, "native": native, "traces": traces, "goals": goals.rows}
        json.dump(results, out, indent=1)
    if target != "--check":
        write_document(target, r, parts)
    for row in goals.missed():
        print(f"missed: {row['what']}: {number(row['value'])}, goal {number(row['goal'])}", file=sys.stderr)
    if target == "--check" and goals.missed():
        sys.exit(1)


main()
