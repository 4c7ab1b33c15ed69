# SPDX-License-Identifier: GPL-2.0
"""Count instructions of the kernel by function, one step at a time, through QEMU's gdb server.

trace.py SOCKET SYSTEM_MAP ADDRESS_OF_TRACE_NEXT >JSON

The program in the VM calls trace_next(name, function, length) before it does what is to be counted.
The next call of that function is then followed from its first instruction to its return, or for a
name like "from>to" to the next call of the second one, by whatever task. It is a post of a record if
length is not 0: that is set in the record first, which lies on the stack of the caller, so that all
lengths can be had from the one kind of record that is easy to come by.
QEMU takes no interrupts while it steps. A repeated string instruction is as many steps as it repeats.
"""

import bisect
import collections
import json
import re
import socket
import sys
import time

RIP, RSP, RDI, RSI, RDX = 16, 7, 5, 4, 3


class Gdb:
    """The few commands of the remote protocol that this takes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(600):
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.1)
        else:
            sys.exit(f"trace.py: QEMU has no gdb server at {path} after a minute")
        self.buffer = b""
        self.command("QStartNoAckMode", acknowledge=True)

    def packet(self):
        while not (match := re.search(rb"\$([^#]*)#..", self.buffer)):
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        self.buffer = self.buffer[match.end() :]
        return match.group(1).decode("latin-1")

    def command(self, text, acknowledge=False):
        packet = "$%s#%02x" % (text, sum(text.encode()) % 256)
        self.socket.sendall(packet.encode())
        answer = self.packet()
        if acknowledge:
            self.socket.sendall(b"+")
        return answer

    def registers(self):
        """The 64-bit ones of x86-64: 16 general ones and RIP."""
        data = bytes.fromhex(self.command("g")[: 17 * 16])
        return [int.from_bytes(data[i : i + 8], "little") for i in range(0, 17 * 8, 8)]

    def read(self, address, length):
        return bytes.fromhex(self.command("m%x,%x" % (address, length)))

    def write(self, address, data):
        self.command("M%x,%x:%s" % (address, len(data), data.hex()))

    def string(self, address):
        return self.read(address, 64).split(b"\0")[0].decode()

    def run_to(self, address):
        """Go on until there, with a hardware breakpoint: it works before anything is mapped."""
        self.command("Z1,%x,1" % address)
        stop = self.command("c")
        self.command("z1,%x,1" % address)
        if stop[0] not in "TS":
            raise EOFError


def demangle(name):
    """The last two names in a symbol of Rust, which is all that is needed to tell them apart."""
    if not name.startswith("_R"):
        return name.split(".")[0]
    names, at = [], 2
    while match := re.compile(r"(\d+)_?").search(name, at):
        length = int(match.group(1))
        word = name[match.end() : match.end() + length]
        if re.fullmatch(r"[A-Za-z]\w*", word) and len(word) == length and length > 1:
            names.append(word)
            at = match.end() + length
        else:
            at = match.start() + 1
    return "::".join(names[-2:])


class Symbols:
    def __init__(self, path):
        rows = [line.split() for line in open(path)]
        rows = sorted((int(a, 16), n) for a, t, n in rows if t in "tTwW")
        self.addresses = [a for a, _ in rows]
        self.names = [n for _, n in rows]
        self.by_name = {n: a for a, n in rows}

    def at(self, address):
        if address < self.addresses[0]:
            return "(user space)"
        return demangle(self.names[bisect.bisect_right(self.addresses, address) - 1])


def follow(gdb, symbols, name, function, length):
    function, _, end = function.partition(">")
    gdb.run_to(symbols.by_name[function])
    registers = gdb.registers()
    if length:
        info = registers[RSI] + 4
        gdb.write(info, bytes([length]) + gdb.read(info, 4)[1:])
    frame = registers[RSP]
    counts, order, total, cleared_for = collections.Counter(), [], 0, ""
    while registers[RIP] != symbols.by_name[end] if end else registers[RSP] <= frame:
        where = symbols.at(registers[RIP])
        if registers[RIP] == symbols.by_name["memset"]:
            caller = gdb.read(registers[RSP], 8)
            cleared_for = symbols.at(int.from_bytes(caller, "little"))
        if where.startswith("memset"):
            where = f"memset for {cleared_for}"
        if where not in counts:
            order.append(where)
        counts[where] += 1
        total += 1
        gdb.command("s")
        registers = gdb.registers()
    return {"name": name, "length": length, "total": total, "functions": [[f, counts[f]] for f in order]}


def main():
    path, system_map, trace_next = sys.argv[1], sys.argv[2], int(sys.argv[3], 16)
    symbols, gdb = Symbols(system_map), Gdb(path)
    traces = []
    while True:
        gdb.run_to(trace_next)
        registers = gdb.registers()
        name, function = gdb.string(registers[RDI]), gdb.string(registers[RSI])
        if name == "end":
            break
        traces.append(follow(gdb, symbols, name, function, registers[RDX]))
    json.dump(traces, sys.stdout, indent=1)
    # Let the VM run to its end.
    gdb.socket.sendall(b"$D#44")


main()
