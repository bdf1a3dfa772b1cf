"""p4runtime-shell drives every entity that it knows.

Usage: shell.py ADDRESS DEVICE P4INFO.txtpb PROGRAM.json OUTCOMES.json
"""

import sys
import time

import p4runtime_sh.shell as sh

from checks import Checks, equal, frame

CPU = "255"


def main():
    address, device, p4info, program, outcomes = sys.argv[1:6]
    sh.setup(
        device_id=int(device),
        grpc_addr=address,
        election_id=(0, 1),
        config=sh.FwdPipeConfig(p4info, program),
    )
    packets = sh.PacketIn()
    checks = Checks()

    def send(payload):
        out = sh.PacketOut(payload)
        out.metadata["egress_port"] = "0"
        out.metadata["through"] = "1"
        out.send()

    def comes_back(payload, timeout=3):
        """The packet goes through the tables and, if it is forwarded to the CPU port, returns."""
        send(payload)
        got = packets.sniff(timeout=timeout)
        return [one.packet.payload for one in got]

    def refused(code, what):
        try:
            what()
        except Exception as error:  # noqa: BLE001 - clients wrap codes in many ways
            if code not in str(error):
                raise
            return
        raise AssertionError(f"not refused with {code}")

    def rows(table):
        # A read without match reads all.
        return list(sh.TableEntry(table).read())

    @check(checks, "capabilities")
    def _():
        major = sh.APIVersion()
        assert str(major).startswith("1."), major

    @check(checks, "packet-out to packet-in")
    def _():
        entry = sh.TableEntry("by_time")(action="to_controller")
        entry.match["hdr.ethernet.key"] = "1"
        entry.action["reason"] = "5"
        entry.insert()
        equal(comes_back(frame(5, 1), 1), [frame(5, 1)])
        entry.delete()

    @check(checks, "table entries of every match kind")
    def _():
        entry = sh.TableEntry("by_all")(action="forward")
        entry.match["key"] = "0x100&&&0xff00"
        entry.match["kind"] = "5..9"
        entry.match["top"] = "3"
        entry.priority = 7
        entry.action["port"] = CPU
        entry.insert()
        equal(len(comes_back(frame(9, 0x0102, kind=6, top=3), 1)), 1)
        equal(comes_back(frame(9, 0x0102, kind=4, top=3), 1), [])
        found = list(sh.TableEntry("by_all").read())
        equal(len(found), 1)
        equal(found[0].priority, 7)
        refused("ALREADY_EXISTS", entry.insert)
        entry.delete()
        refused("NOT_FOUND", entry.delete)

    @check(checks, "a prefix of odd width")
    def _():
        entry = sh.TableEntry("by_bits")(action="forward")
        entry.match["bits"] = "0x400/1"
        entry.action["port"] = CPU
        entry.insert()
        equal(len(comes_back(frame(8, 0x0456), 1)), 1)
        equal(comes_back(frame(8, 0x0356), 1), [])
        equal(len(rows("by_bits")), 1)
        entry.delete()

    @check(checks, "default entry")
    def _():
        entry = sh.TableEntry("by_bits")(action="forward", is_default=True)
        entry.action["port"] = CPU
        entry.modify()
        equal(len(comes_back(frame(8, 9), 1)), 1)
        reset = sh.TableEntry("by_bits")
        reset.is_default = True
        reset.modify()
        equal(comes_back(frame(8, 9), 1), [])

    @check(checks, "entries of the program are read")
    def _():
        equal(len(rows("started")), 2)

    @check(checks, "entries of the program are changed")
    def _():
        entry = sh.TableEntry("started")(action="forward")
        entry.match["hdr.ethernet.key"] = "1"
        entry.action["port"] = CPU
        entry.modify()
        equal(len(comes_back(frame(6, 1), 1)), 1)
        entry.action["port"] = "1"
        entry.modify()

    @check(checks, "const entries are refused with PERMISSION_DENIED")
    def _():
        entry = sh.TableEntry("fixed")(action="forward")
        entry.match["hdr.ethernet.key"] = "9"
        entry.action["port"] = "9"
        refused("PERMISSION_DENIED", entry.insert)

    @check(checks, "members")
    def _():
        member = sh.ActionProfileMember("listed")(member_id=3, action="forward")
        member.action["port"] = CPU
        member.insert()
        entry = sh.TableEntry("by_member")
        entry.match["hdr.ethernet.key"] = "1"
        entry.member_id = 3
        entry.insert()
        equal(len(comes_back(frame(1, 1), 1)), 1)
        equal([one.member_id for one in sh.ActionProfileMember("listed").read()], [3])
        entry.delete()
        member.delete()

    @check(checks, "a member in use is FAILED_PRECONDITION")
    def _():
        member = sh.ActionProfileMember("listed")(member_id=4, action="forward")
        member.action["port"] = CPU
        member.insert()
        entry = sh.TableEntry("by_member")
        entry.match["hdr.ethernet.key"] = "4"
        entry.member_id = 4
        entry.insert()
        try:
            refused("FAILED_PRECONDITION", member.delete)
        finally:
            entry.delete()
            member.delete()

    @check(checks, "the last member is RESOURCE_EXHAUSTED")
    def _():
        def member(id):
            one = sh.ActionProfileMember("listed")(member_id=id, action="forward")
            one.action["port"] = "1"
            return one

        for id in range(1, 9):
            member(id).insert()
        try:
            refused("RESOURCE_EXHAUSTED", member(9).insert)
        finally:
            for id in range(1, 9):
                member(id).delete()

    @check(checks, "groups")
    def _():
        members = []
        for id, port in ((1, CPU), (2, "0")):
            member = sh.ActionProfileMember("spread")(member_id=id, action="forward")
            member.action["port"] = port
            member.insert()
            members.append(member)
        group = sh.ActionProfileGroup("spread")(group_id=5)
        group.add(1, weight=2).add(2, weight=1)
        group.insert()
        entry = sh.TableEntry("by_group")
        entry.match["hdr.ethernet.key"] = "1"
        entry.group_id = 5
        entry.insert()
        for flow in range(60):
            send(frame(2, 1, source=flow * 7919))
        share = len(list(packets.sniff(timeout=1)))
        assert 15 < share < 59, share
        read = list(sh.ActionProfileGroup("spread").read())
        equal([(one.group_id, len(one.members)) for one in read], [(5, 2)])
        entry.delete()
        group.delete()
        for member in members:
            member.delete()

    @check(checks, "one-shot action sets")
    def _():
        shot = sh.Oneshot("by_set")
        for port, weight in ((CPU, 1), (CPU, 1)):
            action = sh.Action("forward")
            action["port"] = port
            shot.add(action, weight=weight)
        entry = sh.TableEntry("by_set")
        entry.match["hdr.ethernet.key"] = "0x100/8"
        entry.oneshot = shot
        entry.insert()
        equal(len(comes_back(frame(3, 0x0177), 1)), 1)
        equal(len(rows("by_set")), 1)
        entry.delete()

    @check(checks, "indirect counters")
    def _():
        counter = sh.CounterEntry("total")
        counter.index = 5
        before = next(iter(counter.read())).packet_count
        send(frame(0, 5))
        time.sleep(0.3)
        counter = sh.CounterEntry("total")
        counter.index = 5
        equal(next(iter(counter.read())).packet_count, before + 1)
        counter.packet_count = 70
        counter.modify()
        counter = sh.CounterEntry("total")
        equal([c.packet_count for c in counter.read() if c.index == 5], [70])
        equal(len(list(sh.CounterEntry("total").read())), 8)

    @check(checks, "direct counters")
    def _():
        entry = sh.TableEntry("Pipe.by_meter")(action="metered")
        entry.match["hdr.ethernet.key"] = "1"
        entry.action["port"] = CPU
        entry.insert()
        equal(len(comes_back(frame(4, 1), 1)), 1)
        counter = sh.DirectCounterEntry("own_count")
        counter.table_entry = entry
        equal(next(iter(counter.read())).packet_count, 1)
        entry.delete()

    def colours(branch, key):
        for _ in range(3):
            send(frame(branch, key))
        return [one.packet.payload[13] for one in packets.sniff(timeout=1)]

    @check(checks, "direct meters")
    def _():
        entry = sh.TableEntry("Pipe.by_meter")(action="metered")
        entry.match["hdr.ethernet.key"] = "2"
        entry.action["port"] = CPU
        entry.insert()
        meter = sh.DirectMeterEntry("own_limit")
        meter.table_entry = entry
        meter.cir, meter.cburst, meter.pir, meter.pburst = 1, 1, 1, 2
        meter.modify()
        equal(colours(4, 2), [0, 1, 2])
        read = sh.DirectMeterEntry("own_limit")
        read.table_entry = entry
        equal([one.pburst for one in read.read()], [2])
        entry.delete()

    @check(checks, "indirect meters")
    def _():
        meter = sh.MeterEntry("limits")
        meter.index = 3
        meter.cir, meter.cburst, meter.pir, meter.pburst = 1, 1, 1, 2
        meter.modify()
        read = sh.MeterEntry("limits")
        read.index = 3
        equal([one.cburst for one in read.read()], [1])

    @check(checks, "multicast groups")
    def _():
        group = sh.MulticastGroupEntry(7)
        group.add(255, 1).add(255, 2)
        group.insert()
        entry = sh.TableEntry("by_time")(action="flood")
        entry.match["hdr.ethernet.key"] = "7"
        entry.action["group"] = "7"
        entry.insert()
        equal(len(comes_back(frame(5, 7), 1)), 2)
        equal([len(one.replicas) for one in sh.MulticastGroupEntry(7).read()], [2])
        entry.delete()
        group.delete()

    @check(checks, "clone sessions")
    def _():
        session = sh.CloneSessionEntry(9)
        session.add(255, 1)
        session.packet_length_bytes = 40
        session.insert()
        entry = sh.TableEntry("by_time")(action="mirror")
        entry.match["hdr.ethernet.key"] = "8"
        entry.action["port"] = "0"
        entry.action["session"] = "9"
        entry.insert()
        equal([len(one) for one in comes_back(frame(5, 8), 1)], [38])
        equal([s.packet_length_bytes for s in sh.CloneSessionEntry(9).read()], [40])
        entry.delete()
        session.delete()

    @check(checks, "digests")
    def _():
        digest = sh.DigestEntry("seen_t")
        digest.max_timeout_ns = 0
        digest.max_list_size = 1
        digest.ack_timeout_ns = 10**9
        digest.insert()
        lists = sh.DigestList()
        send(frame(10, 0, source=0x0A0B, kind=0x8100))
        got = list(lists.sniff(timeout=2))
        equal(len(got), 1)
        members = got[0].digest.data[0].struct.members
        equal(members[0].bitstring.lstrip(b"\0"), b"\x0a\x0b")
        digest.delete()

    @check(checks, "digests can be read back")
    def _():
        digest = sh.DigestEntry("seen_t")
        digest.max_list_size = 3
        digest.insert()
        equal([one.max_list_size for one in sh.DigestEntry("seen_t").read()], [3])
        digest.delete()

    @check(checks, "idle timeouts")
    def _():
        entry = sh.TableEntry("by_time")(action="forward")
        entry.match["hdr.ethernet.key"] = "11"
        entry.action["port"] = "0"
        entry.idle_timeout_ns = 300_000_000
        notices = sh.IdleTimeoutNotification()
        begun = time.monotonic()
        entry.insert()
        got = list(notices.sniff(timeout=4))
        assert got, "no notice"
        equal(got[0].idle_timeout_notification.table_entry[0].idle_timeout_ns, 300_000_000)
        assert time.monotonic() - begun >= 0.3
        entry.delete()

    sh.teardown()
    checks.finish(outcomes)


def check(checks, name):
    return lambda body: checks.run(name, body)


if __name__ == "__main__":
    main()
