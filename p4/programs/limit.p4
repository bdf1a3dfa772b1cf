/* What an endpoint may send and receive: a meter for packets and one for bytes each way, for the
 * ports that have limits. What is not green is dropped.
 *
 * A packet is measured once, however many passes its policy takes: what a workload sends before
 * policy, so that what is denied counts as well, and what it gets when only the limit is left to
 * stop it, so that what is denied uses up nothing of its allowance. */

control EgressLimit(inout metadata_t md) {
    @name(".limit_egress_packets_meter")
    direct_meter<bit<2>>(MeterType.packets) packets_meter;

    @name(".measure_egress_packets") @id(0x01000026)
    action measure_packets() {
        packets_meter.read(md.colour);
    }

    @name(".limit_egress_packets") @id(0x02000040)
    table limit_packets {
        key = { md.in_port : exact @name("port"); }
        actions = { measure_packets; @defaultonly NoAction; }
        const default_action = NoAction;
        meters = packets_meter;
        size = 512;
    }

    @name(".limit_egress_bytes_meter")
    direct_meter<bit<2>>(MeterType.bytes) bytes_meter;

    @name(".measure_egress_bytes") @id(0x01000027)
    action measure_bytes() {
        bytes_meter.read(md.colour);
    }

    @name(".limit_egress_bytes") @id(0x02000041)
    table limit_bytes {
        key = { md.in_port : exact @name("port"); }
        actions = { measure_bytes; @defaultonly NoAction; }
        const default_action = NoAction;
        meters = bytes_meter;
        size = 512;
    }

    apply {
        limit_packets.apply();
        if (md.colour == 0) {
            limit_bytes.apply();
        }
    }
}

control IngressLimit(inout metadata_t md) {
    @name(".limit_ingress_packets_meter")
    direct_meter<bit<2>>(MeterType.packets) packets_meter;

    @name(".measure_ingress_packets") @id(0x01000028)
    action measure_packets() {
        packets_meter.read(md.colour);
    }

    @name(".limit_ingress_packets") @id(0x02000042)
    table limit_packets {
        key = { md.out_port : exact @name("port"); }
        actions = { measure_packets; @defaultonly NoAction; }
        const default_action = NoAction;
        meters = packets_meter;
        size = 512;
    }

    @name(".limit_ingress_bytes_meter")
    direct_meter<bit<2>>(MeterType.bytes) bytes_meter;

    @name(".measure_ingress_bytes") @id(0x01000029)
    action measure_bytes() {
        bytes_meter.read(md.colour);
    }

    @name(".limit_ingress_bytes") @id(0x02000043)
    table limit_bytes {
        key = { md.out_port : exact @name("port"); }
        actions = { measure_bytes; @defaultonly NoAction; }
        const default_action = NoAction;
        meters = bytes_meter;
        size = 512;
    }

    apply {
        limit_packets.apply();
        if (md.colour == 0) {
            limit_bytes.apply();
        }
    }
}
