"""finsy drives every entity that it knows.

Usage: finsy_all.py ADDRESS DEVICE P4INFO.txtpb PROGRAM.json OUTCOMES.json
"""

import asyncio
import sys
from pathlib import Path

import finsy as fy
from finsy.p4entity import P4BackupReplica, P4Replica, P4ValueSetMember

from checks import Checks, equal, frame

CPU = 255


async def main():
    address, device, p4info, program, outcomes = sys.argv[1:6]
    options = fy.SwitchOptions(
        p4info=Path(p4info), p4blob=Path(program), p4force=True, device_id=int(device)
    )
    checks = Checks()
    async with fy.Switch("switch", address, options) as switch:
        await drive(switch, checks)
    checks.finish(outcomes)


async def drive(switch, checks):
    packets = asyncio.Queue()
    digests = asyncio.Queue()
    notices = asyncio.Queue()

    async def pump(source, queue):
        async for one in source:
            await queue.put(one)

    switch.create_task(pump(switch.read_packets(), packets), background=True)
    switch.create_task(pump(switch.read_digests("seen_t"), digests), background=True)
    switch.create_task(pump(switch.read_idle_timeouts(), notices), background=True)
    await asyncio.sleep(0.05)

    async def send(payload):
        await switch.write([fy.P4PacketOut(payload, egress_port=0, through=1)])

    async def comes_back(payload, count=1):
        """The packet goes through the tables and returns so often by the CPU port."""
        await send(payload)
        got = []
        try:
            while True:
                # A while longer, so that one too many is seen.
                wait = 0.3 if len(got) >= count else 3
                got.append((await asyncio.wait_for(packets.get(), wait)).payload)
        except asyncio.TimeoutError:
            return got

    async def refused(code, what):
        try:
            await what
        except fy.P4ClientError as error:
            if code not in str(error) and code not in repr(error):
                raise
            return
        raise AssertionError(f"not refused with {code}")

    async def read(entity):
        return [one async for one in switch.read(entity)]

    def entry(table, action=None, match=None, **more):
        match = match or {"key": 1}
        return fy.P4TableEntry(table, match=fy.P4TableMatch(match), action=action, **more)

    def forward(port=CPU):
        return fy.P4TableAction("forward", port=port)

    async def check(name, body):
        await checks.run_async(name, body)

    async def pipeline():
        assert switch.p4runtime_version.major == 1
        config = switch.p4info
        assert config.tables["by_all"].size == 64

    await check("capabilities and pipeline", pipeline)

    async def punt():
        one = entry("by_time", fy.P4TableAction("to_controller", reason=5))
        await switch.insert([one])
        equal(await comes_back(frame(5, 1)), [frame(5, 1)])
        await switch.delete([one])

    await check("packet-out to packet-in", punt)

    async def kinds():
        one = entry(
            "by_all",
            forward(),
            {"key": (0x100, 0xFF00), "kind": "5...9", "top": 3},
            priority=7,
            metadata=b"mine",
        )
        await switch.insert([one])
        equal(len(await comes_back(frame(9, 0x0102, kind=6, top=3))), 1)
        (found,) = await read(fy.P4TableEntry("by_all"))
        equal((found.priority, found.metadata), (7, b"mine"))
        await refused("ALREADY_EXISTS", switch.insert([one]))
        await switch.delete([one])
        await refused("NOT_FOUND", switch.delete([one]))

    await check("table entries of every match kind", kinds)

    async def odd():
        one = entry("by_bits", forward(), {"bits": (0x400, 1)})
        await switch.insert([one])
        equal(len(await comes_back(frame(8, 0x0456))), 1)
        await switch.delete([one])

    await check("a prefix of odd width", odd)

    async def default():
        one = fy.P4TableEntry("by_bits", is_default_action=True, action=forward())
        await switch.modify([one])
        equal(len(await comes_back(frame(8, 9))), 1)
        (found,) = await read(fy.P4TableEntry("by_bits", is_default_action=True))
        equal(found.action, forward())
        await switch.modify([fy.P4TableEntry("by_bits", is_default_action=True)])

    await check("default entry", default)

    async def started():
        equal(len(await read(fy.P4TableEntry("started"))), 2)

    await check("entries of the program are read", started)

    async def everything():
        tables = {one.table_id for one in await read(fy.P4TableEntry())}
        assert {"started", "fixed"} <= tables, tables

    await check("all tables are read at once", everything)

    async def const():
        one = entry("fixed", forward(9), {"key": 9})
        await refused("PERMISSION_DENIED", switch.insert([one]))

    await check("const entries are refused with PERMISSION_DENIED", const)

    async def atomic():
        good = entry("by_time", forward(), {"key": 2})
        bad = entry("by_time", forward())
        await switch.insert([bad])
        try:
            # The entry before the bad one stays: the batch goes on after errors.
            await refused("ALREADY_EXISTS", switch.insert([good, bad]))
            equal(len(await read(fy.P4TableEntry("by_time"))), 2)
        finally:
            await switch.delete([good, bad], strict=False)

    await check("a batch goes on after an error", atomic)

    async def members():
        member = fy.P4ActionProfileMember("listed", member_id=3, action=forward())
        one = entry("by_member", fy.P4IndirectAction(member_id=3))
        await switch.insert([member, one])
        equal(len(await comes_back(frame(1, 1))), 1)
        equal(await read(fy.P4ActionProfileMember("listed")), [member])
        await switch.delete([one, member])

    await check("members", members)

    async def used():
        member = fy.P4ActionProfileMember("listed", member_id=4, action=forward())
        one = entry("by_member", fy.P4IndirectAction(member_id=4))
        await switch.insert([member, one])
        try:
            await refused("FAILED_PRECONDITION", switch.delete([member]))
        finally:
            await switch.delete([one, member])

    await check("a member in use is FAILED_PRECONDITION", used)

    async def groups():
        members = [
            fy.P4ActionProfileMember("spread", member_id=id, action=forward(port))
            for id, port in ((1, CPU), (2, CPU))
        ]
        group = fy.P4ActionProfileGroup(
            "spread",
            group_id=5,
            members=[fy.P4Member(1, weight=2), fy.P4Member(2, weight=(1, 1))],
        )
        one = entry("by_group", fy.P4IndirectAction(group_id=5))
        await switch.insert(members)
        try:
            await switch.insert([group, one])
            equal(len(await comes_back(frame(2, 1))), 1)
            equal(await read(fy.P4ActionProfileGroup("spread")), [group])
        finally:
            await switch.delete([one, group], strict=False)
            await switch.delete(members)

    await check("groups with weights and watch ports", groups)

    async def shot():
        action = fy.P4IndirectAction([(1, forward()), (2, forward())])
        one = entry("by_set", action, {"key": (0x100, 8)})
        await switch.insert([one])
        equal(len(await comes_back(frame(3, 0x0177))), 1)
        (found,) = await read(fy.P4TableEntry("by_set"))
        equal(found.action, action)
        await switch.delete([one])

    await check("one-shot action sets", shot)

    async def counters():
        data = fy.P4CounterData(packet_count=7, byte_count=9)
        await switch.modify([fy.P4CounterEntry("total", index=6, data=data)])
        (found,) = await read(fy.P4CounterEntry("total", index=6))
        equal(found.data, data)
        equal(len(await read(fy.P4CounterEntry("total"))), 8)

    await check("indirect counters", counters)

    async def direct():
        one = entry("by_meter", fy.P4TableAction("metered", port=CPU))
        await switch.insert([one])
        try:
            equal(len(await comes_back(frame(4, 1))), 1)
            query = fy.P4DirectCounterEntry("own_count", table_entry=entry("by_meter"))
            (found,) = await read(query)
            equal(found.data.packet_count, 1)
            asked = entry("by_meter", counter_data=fy.P4CounterData())
            (found,) = await read(asked)
            equal(found.counter_data.packet_count, 1)
        finally:
            await switch.delete([one])

    await check("direct counters", direct)

    rates = fy.P4MeterConfig(cir=1, cburst=1, pir=1, pburst=2)

    async def colours(branch, key):
        for _ in range(3):
            await send(frame(branch, key))
        got = [await asyncio.wait_for(packets.get(), 3) for _ in range(3)]
        return [one.payload[13] for one in got]

    async def direct_meter():
        action = fy.P4TableAction("metered", port=CPU)
        one = entry("by_meter", action, meter_config=rates)
        await switch.insert([one])
        try:
            equal(await colours(4, 1), [0, 1, 2])
            (found,) = await read(fy.P4DirectMeterEntry(table_entry=entry("by_meter")))
            equal(found.config, rates)
        finally:
            await switch.delete([one])

    await check("direct meters", direct_meter)

    async def meters():
        await switch.modify([fy.P4MeterEntry("limits", index=3, config=rates)])
        (found,) = await read(fy.P4MeterEntry("limits", index=3))
        equal(found.config, rates)
        equal(len(await read(fy.P4MeterEntry("limits"))), 8)
        # Back to the default, in which all packets are green.
        await switch.modify([fy.P4MeterEntry("limits", index=3)])
        (found,) = await read(fy.P4MeterEntry("limits", index=3))
        equal(found.config, None)

    await check("indirect meters", meters)

    async def registers():
        await send(frame(0, 2, source=0x0102030405))
        found = None
        for _ in range(100):
            (found,) = await read(fy.P4RegisterEntry("last_source", index=2))
            if found.data == 0x0102030405:
                break
            await asyncio.sleep(0.02)
        equal(found.data, 0x0102030405)
        await switch.modify([fy.P4RegisterEntry("last_source", index=2, data=77)])
        (found,) = await read(fy.P4RegisterEntry("last_source", index=2))
        equal(found.data, 77)
        equal(len(await read(fy.P4RegisterEntry("last_source"))), 4)

    await check("registers", registers)

    async def multicast():
        group = fy.P4MulticastGroupEntry(7, replicas=[(CPU, 1), (CPU, 2)])
        one = entry("by_time", fy.P4TableAction("flood", group=7))
        await switch.insert([group, one])
        try:
            equal(len(await comes_back(frame(5, 1), 2)), 2)
            (found,) = await read(fy.P4MulticastGroupEntry(7))
            equal(len(found.replicas), 2)
        finally:
            await switch.delete([one, group])

    await check("multicast groups", multicast)

    async def backups():
        backup = P4BackupReplica(4, instance=9)
        replica = P4Replica(3, instance=1, backup_replicas=[backup])
        group = fy.P4MulticastGroupEntry(8, replicas=[replica], metadata=b"mine")
        await switch.insert([group])
        try:
            (found,) = await read(fy.P4MulticastGroupEntry(8))
            equal(found.metadata, b"mine")
            equal(list(found.replicas[0].backup_replicas), [backup])
        finally:
            await switch.delete([group])

    await check("backup replicas", backups)

    async def clones():
        session = fy.P4CloneSessionEntry(9, replicas=[(CPU, 1)], packet_length_bytes=40)
        one = entry("by_time", fy.P4TableAction("mirror", port=0, session=9))
        await switch.insert([session, one])
        try:
            equal([len(got) for got in await comes_back(frame(5, 1))], [38])
            (found,) = await read(fy.P4CloneSessionEntry(9))
            equal(found.packet_length_bytes, 40)
        finally:
            await switch.delete([one, session])

    await check("clone sessions", clones)

    async def value_sets():
        entry = fy.P4ValueSetEntry("pairs", members=[P4ValueSetMember(kind=7, top=3)])
        await switch.modify([entry])
        (found,) = await read(entry)
        equal(found, entry)
        await switch.modify([fy.P4ValueSetEntry("pairs", members=[])])

    await check("value sets", value_sets)

    async def learning():
        digest = fy.P4DigestEntry("seen_t", max_list_size=1, ack_timeout_ns=10**12)
        await switch.insert([digest])
        try:
            await send(frame(10, 0, source=0x0A0B, kind=0x8100))
            first = await asyncio.wait_for(digests.get(), 3)
            equal(first.data[0]["source"], 0x0A0B)
            equal(first.data[0]["kind"], 0x8100)
            await switch.write([first.ack()])
            # Acknowledged, so the same is told anew.
            for _ in range(100):
                await send(frame(10, 0, source=0x0A0B, kind=0x8100))
                try:
                    await asyncio.wait_for(digests.get(), 0.05)
                    return
                except asyncio.TimeoutError:
                    pass
            raise AssertionError("not told again after the acknowledgement")
        finally:
            await switch.delete([digest])

    await check("digests and acknowledgements", learning)

    async def learning_read():
        digest = fy.P4DigestEntry("seen_t", max_list_size=3)
        await switch.insert([digest])
        try:
            equal(await read(fy.P4DigestEntry("seen_t")), [digest])
            equal(await read(fy.P4DigestEntry()), [digest])
        finally:
            await switch.delete([digest])

    await check("digests can be read back", learning_read)

    async def idle():
        one = entry("by_time", forward(0), {"key": 11}, idle_timeout_ns=300_000_000)
        await switch.insert([one])
        try:
            notice = await asyncio.wait_for(notices.get(), 5)
            equal(notice.table_entry[0].match, {"key": 11})
            asked = entry("by_time", match={"key": 11}, time_since_last_hit=0)
            (found,) = await read(asked)
            assert found.time_since_last_hit >= 200_000_000, found
        finally:
            await switch.delete([one])

    await check("idle timeouts", idle)


if __name__ == "__main__":
    asyncio.run(main())
