/* One step of a leg of policy: labels, groups, verdict. Exact and LPM only, so a step costs the
 * same whatever the number of rules, sets and members.
 *
 * A leg is a chain of steps, each of them one policy or, where that is cheap, a whole list. A
 * verdict that leaves it to a later policy or tier resubmits the packet with the step that is due,
 * and so does an accept while another endpoint at the same end has still to be asked.
 * A packet between two local endpoints takes its egress leg first and is resubmitted in between as
 * well, so that every table is there once for both directions. */

control Acl(inout headers_t hdr, inout metadata_t md) {
    /* The class to ask, and the steps that follow on no match, on a pass and on an accept: 0 if
     * none does. A deny counts as `reason`, which tells whose policy it is. */
    @name(".step") @id(0x0100001a)
    action step(bit<32> class, bit<32> ports, bit<32> source_ports, bit<32> next, bit<32> pass,
                bit<32> accept, bit<8> reason) {
        md.class = class;
        md.ports = ports;
        md.source_ports = source_ports;
        md.next_step = next;
        md.pass_step = pass;
        md.accept_step = accept;
        md.deny_reason = reason;
    }

    @name(".acl_chain") @id(0x02000024)
    table acl_chain {
        key = { md.chain : exact @name("chain"); }
        actions = { step; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 131072;
    }

    @name(".host_label") @id(0x01000010)
    action host_label(bit<32> label) {
        md.host_label = label;
    }

    @name(".acl_host_v4") @id(0x02000010)
    table acl_host_v4 {
        key = { md.remote_v4 : exact @name("addr"); }
        actions = { host_label; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 262144;
    }

    @name(".acl_host_v6") @id(0x02000011)
    table acl_host_v6 {
        key = { md.remote_v6 : exact @name("addr"); }
        actions = { host_label; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 262144;
    }

    @name(".net_label") @id(0x01000011)
    action net_label(bit<32> label) {
        md.net_label = label;
    }

    @name(".acl_net_v4") @id(0x02000012)
    table acl_net_v4 {
        key = { md.remote_v4 : lpm @name("addr"); }
        actions = { net_label; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 65536;
    }

    @name(".acl_net_v6") @id(0x02000013)
    table acl_net_v6 {
        key = { md.remote_v6 : lpm @name("addr"); }
        actions = { net_label; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 65536;
    }

    /* An address, protocol and port of its own label: named ports and services. */
    @name(".service_label") @id(0x01000012)
    action service_label(bit<32> label) {
        md.host_label = label;
    }

    @name(".acl_service_v4") @id(0x02000014)
    table acl_service_v4 {
        key = {
            md.remote_v4 : exact @name("addr");
            md.protocol : exact @name("protocol");
            md.remote_port : exact @name("port");
        }
        actions = { service_label; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 65536;
    }

    @name(".acl_service_v6") @id(0x02000015)
    table acl_service_v6 {
        key = {
            md.remote_v6 : exact @name("addr");
            md.protocol : exact @name("protocol");
            md.remote_port : exact @name("port");
        }
        actions = { service_label; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 65536;
    }

    @name(".host_group") @id(0x01000013)
    action host_group(bit<32> set, bit<32> group) {
        md.host_set = set;
        md.group = group;
    }

    @name(".acl_host_group") @id(0x02000016)
    table acl_host_group {
        key = {
            md.class : exact @name("class");
            md.host_label : exact @name("label");
        }
        actions = { host_group; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 1048576;
    }

    @name(".net_group") @id(0x01000014)
    action net_group(bit<32> set, bit<32> group) {
        md.net_set = set;
        md.net_group = group;
    }

    @name(".acl_net_group") @id(0x02000017)
    table acl_net_group {
        key = {
            md.class : exact @name("class");
            md.net_label : exact @name("label");
        }
        actions = { net_group; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 131072;
    }

    @name(".pair_group") @id(0x01000015)
    action pair_group(bit<32> group) {
        md.group = group;
    }

    /* An address that is a listed host inside a listed net. */
    @name(".acl_pair_group") @id(0x02000018)
    table acl_pair_group {
        key = {
            md.class : exact @name("class");
            md.host_set : exact @name("host_set");
            md.net_set : exact @name("net_set");
        }
        actions = { pair_group; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 262144;
    }

    @name(".port_group") @id(0x01000016)
    action port_group(bit<16> group) {
        md.port_group = group;
    }

    @name(".acl_port") @id(0x02000019)
    table acl_port {
        key = {
            md.ports : exact @name("ports");
            md.protocol : exact @name("protocol");
            md.dst_port : lpm @name("port");
        }
        actions = { port_group; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 131072;
    }

    @name(".source_port_group") @id(0x01000017)
    action source_port_group(bit<16> group) {
        md.source_port_group = group;
    }

    @name(".acl_source_port") @id(0x02000020)
    table acl_source_port {
        key = {
            md.source_ports : exact @name("source_ports");
            md.protocol : exact @name("protocol");
            md.src_port : lpm @name("port");
        }
        actions = { source_port_group; @defaultonly NoAction; }
        const default_action = NoAction;
        size = 32768;
    }

    @name(".allow") @id(0x01000018)
    action allow(bit<32> rule) {
        md.judged = 1;
        md.allowed = 1;
        md.rule = rule;
        md.onward = md.accept_step;
    }

    @name(".deny") @id(0x01000019)
    action deny(bit<32> rule) {
        md.judged = 1;
        md.rule = rule;
    }

    /* No rule of this step matched: the next policy decides. */
    @name(".next_policy") @id(0x0100001b)
    action next_policy() {
        md.left = 1;
        md.onward = md.next_step;
    }

    /* A rule passes: the first policy of the next tier decides, or the next profile. */
    @name(".next_tier") @id(0x0100001c)
    action next_tier(bit<32> rule) {
        md.left = 1;
        md.onward = md.pass_step;
        md.rule = rule;
    }

    @name(".acl_verdict_hits")
    direct_counter(CounterType.packets_and_bytes) verdict_hits;

    @name(".acl_verdict") @id(0x02000021)
    table acl_verdict {
        key = {
            md.class : exact @name("class");
            md.group : exact @name("group");
            md.port_group : exact @name("port_group");
            md.source_port_group : exact @name("source_port_group");
        }
        actions = { allow; deny; next_policy; next_tier; @defaultonly NoAction; }
        const default_action = NoAction;
        counters = verdict_hits;
        size = 524288;
    }

    /* What a group does on most ports, where that is not what the class does by default. */
    @name(".acl_verdict_default_hits")
    direct_counter(CounterType.packets_and_bytes) verdict_default_hits;

    @name(".acl_verdict_default") @id(0x02000022)
    table acl_verdict_default {
        key = {
            md.class : exact @name("class");
            md.group : exact @name("group");
        }
        actions = { allow; deny; next_policy; next_tier; @defaultonly NoAction; }
        const default_action = NoAction;
        counters = verdict_default_hits;
        size = 524288;
    }

    @name(".acl_class_default_hits")
    direct_counter(CounterType.packets_and_bytes) class_default_hits;

    /* What becomes of an address that is in nothing, on most ports, and of every group that does the
     * same there. */
    @name(".acl_class_default") @id(0x02000025)
    table acl_class_default {
        key = { md.class : exact @name("class"); }
        actions = { allow; deny; next_policy; next_tier; @defaultonly NoAction; }
        const default_action = NoAction;
        counters = class_default_hits;
        size = 131072;
    }

    apply {
        acl_chain.apply();
        if (md.is_v6 == 0) {
            if (!acl_service_v4.apply().hit) {
                acl_host_v4.apply();
            }
            acl_net_v4.apply();
        } else {
            if (!acl_service_v6.apply().hit) {
                acl_host_v6.apply();
            }
            acl_net_v6.apply();
        }
        if (md.host_label != 0) {
            acl_host_group.apply();
        }
        if (md.net_label != 0) {
            acl_net_group.apply();
        }
        if (md.net_set != 0) {
            if (md.host_set != 0) {
                acl_pair_group.apply();
            } else {
                md.group = md.net_group;
            }
        }
        acl_port.apply();
        if (md.source_ports != 0) {
            acl_source_port.apply();
        }
        if (!acl_verdict.apply().hit) {
            if (!acl_verdict_default.apply().hit) {
                acl_class_default.apply();
            }
        }
    }
}
