/* Connections, kept in registers: both directions of a connection meet in one slot, so replies of
 * an allowed connection pass without asking policy and without a packet to any controller.
 *
 * Two candidate slots a connection, found by two different hashes. A slot is free when it was never
 * used, when its epoch is not the current one, or when it has not been used for as long as its
 * state allows. Nothing is evicted: a connection without a free slot is counted and stays
 * untracked. A denied packet never comes here to write. */

const bit<32> CONNECTION_SLOTS = 65536;

const bit<8> STATE_OPEN = 1;
const bit<8> STATE_CLOSING = 2;

/* Microseconds without a packet. */
const bit<48> TIMEOUT_TCP = 3600000000;
const bit<48> TIMEOUT_CLOSING = 10000000;
const bit<48> TIMEOUT_UDP = 180000000;
const bit<48> TIMEOUT_OTHER = 600000000;
/* A use is written down at most this often. */
const bit<48> TOUCH = 1000000;

register<slot_t>(CONNECTION_SLOTS) connection_slots0;
register<slot_t>(CONNECTION_SLOTS) connection_slots1;

/* Finds the connection of a packet. */
control ConnectionLookup(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm) {
    bit<16> low_port;
    bit<16> high_port;
    bit<48> timeout = TIMEOUT_OTHER;

    apply {
        md.tracked = 1;
        low_port = md.src_port;
        high_port = md.dst_port;
        bool swap = md.src > md.dst || (md.src == md.dst && md.src_port > md.dst_port);

        if (hdr.tcp.isValid()) {
            timeout = TIMEOUT_TCP;
            if (hdr.tcp.syn == 1 && hdr.tcp.ack == 0) {
                md.opens = 1;
            }
        } else if (hdr.udp.isValid()) {
            timeout = TIMEOUT_UDP;
        } else if (hdr.icmp.isValid()) {
            /* Only echo has a reply that belongs to a request; the slot remembers who asked. */
            timeout = TIMEOUT_UDP;
            low_port = hdr.icmp.identifier;
            high_port = 0;
            if (hdr.icmp.type == 8 || hdr.icmp.type == 128) {
                swap = false;
                md.opens = 1;
            } else if (hdr.icmp.type == 0 || hdr.icmp.type == 129) {
                swap = false;
                bit<128> asker = md.dst;
                md.dst = md.src;
                md.src = asker;
            } else {
                md.tracked = 0;
            }
        }

        if (md.tracked == 1) {
            if (swap) {
                md.connection = md.dst ++ md.src ++ high_port ++ low_port ++ md.protocol;
            } else {
                md.connection = md.src ++ md.dst ++ low_port ++ high_port ++ md.protocol;
            }
            hash(md.index0, HashAlgorithm.crc32, 32w0, { md.connection }, CONNECTION_SLOTS);
            hash(md.index1, HashAlgorithm.crc16, 32w0, { md.connection }, CONNECTION_SLOTS);
            connection_slots0.read(md.slot0, md.index0);
            connection_slots1.read(md.slot1, md.index1);

            /* Bits 71..56 epoch, 55..48 state, 47..0 last use. */
            bit<48> age0 = md.now - md.slot0[47:0];
            bit<48> age1 = md.now - md.slot1[47:0];
            bit<48> timeout0 = timeout;
            bit<48> timeout1 = timeout;
            if (md.slot0[55:48] == STATE_CLOSING) {
                timeout0 = TIMEOUT_CLOSING;
            }
            if (md.slot1[55:48] == STATE_CLOSING) {
                timeout1 = TIMEOUT_CLOSING;
            }
            bool live0 = md.slot0[55:48] != 0 && md.slot0[71:56] == md.epoch && age0 < timeout0;
            bool live1 = md.slot1[55:48] != 0 && md.slot1[71:56] == md.epoch && age1 < timeout1;

            if (live0 && md.slot0[367:72] == md.connection) {
                md.found = 1;
                md.room = 1;
                md.state = md.slot0[55:48];
                if (age0 < TOUCH) {
                    md.established = 1;
                }
            } else if (live1 && md.slot1[367:72] == md.connection) {
                md.found = 1;
                md.room = 1;
                md.second = 1;
                md.state = md.slot1[55:48];
                if (age1 < TOUCH) {
                    md.established = 1;
                }
            } else if (!live0) {
                md.room = 1;
            } else if (!live1) {
                md.room = 1;
                md.second = 1;
            }
        }
    }
}

/* Writes down that an allowed packet used its connection. */
control ConnectionCommit(inout headers_t hdr, inout metadata_t md, inout standard_metadata_t sm,
                         counter drop_reason) {
    bit<8> state = STATE_OPEN;

    apply {
        if (md.tracked == 1) {
            if (hdr.tcp.isValid() && (hdr.tcp.fin == 1 || hdr.tcp.rst == 1)) {
                state = STATE_CLOSING;
            } else if (md.found == 1 && md.opens == 0) {
                state = md.state;
            }
            /* `established` here means: found, and used less than TOUCH ago. */
            if (md.established == 0 || state != md.state) {
                slot_t slot = md.connection ++ md.epoch ++ state ++ md.now;
                if (md.room == 0) {
                    drop_reason.count((bit<32>)COUNT_CONNECTION_TABLE_FULL);
                } else if (md.second == 1) {
                    connection_slots1.write(md.index1, slot);
                } else {
                    connection_slots0.write(md.index0, slot);
                }
            }
        }
    }
}
