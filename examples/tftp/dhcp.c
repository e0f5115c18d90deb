/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "dhcp.h"

#include "bytes.h"
#include "card.h"
#include "interrupts.h"
#include "print.h"
#include "random.h"

#define SERVER_PORT 67u

/* A message (RFC 2131, figure 1), up to its options. */
enum { OP = 0, HTYPE, HLEN, XID = 4, FLAGS = 10, CIADDR = 12, YIADDR = 16, CHADDR = 28 };
#define COOKIE_AT     236u
#define COOKIE        0x63825363u
#define OPTIONS       240u
#define MESSAGE_LEAST 300u /* RFC 1542, 2.1 */
#define TO_ALL        0x8000u
enum { BOOT_REQUEST = 1, BOOT_REPLY = 2, ETHERNET_TYPE = 1 };

/* Options and types of messages (RFC 2132). */
enum {
    PAD = 0,
    ADDRESS_WANTED = 50,
    LEASE = 51,
    TYPE = 53,
    SERVER = 54,
    RENEW_AFTER = 58,
    REBIND_AFTER = 59,
    END = 255
};
enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6 };

/* Seconds (RFC 2131, 4.1 and 4.4.5). */
#define WAIT_FIRST    4u
#define WAIT_LAST     64u
#define WAIT_RENEWAL  60u
#define REQUESTS_MOST 4u /* that nobody answers */
#define FOR_EVER      0xffffffffu

static enum { INIT, SELECTING, REQUESTING, BOUND, RENEWING, REBINDING } state;
static uint32_t transaction, tries;
static uint64_t again;                 /* when to send once more */
static uint64_t renew, rebind, expiry; /* of the lease */
static uint32_t offered, server;       /* the address, and who offers it */
static struct endpoint server_end;

static void enter(int next)
{
    state = next;
    tries = 0;
    again = 0;
    if (next != REQUESTING) /* which goes on with what SELECTING has begun */
        transaction = random_number();
}

/* ---- sending ---- */

static uint8_t *put_option(uint8_t *at, uint32_t code, uint32_t value)
{
    at[0] = (uint8_t)code;
    at[1] = 4;
    put32(at + 2, value);
    return at + 6;
}

/* What the state asks for, as RFC 2131, table 5, has it; false if it cannot be sent now. */
static bool send(void)
{
    struct endpoint to = {BROADCAST, SERVER_PORT, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    uint8_t *message = net_room(), *option;

    if (!message)
        return false;
    memset(message, 0, MESSAGE_LEAST);
    message[OP] = BOOT_REQUEST;
    message[HTYPE] = ETHERNET_TYPE;
    message[HLEN] = ETHER_BYTES;
    put32(message + XID, transaction);
    memcpy(message + CHADDR, card_address(), ETHER_BYTES);
    put32(message + COOKIE_AT, COOKIE);
    option = message + OPTIONS;
    *option++ = TYPE;
    *option++ = 1;
    *option++ = state == SELECTING ? DISCOVER : REQUEST;
    if (state < BOUND)
        put16(message + FLAGS, TO_ALL); /* what is for the address to be does not get here yet */
    else
        put32(message + CIADDR, net_address());
    if (state == REQUESTING) {
        option = put_option(option, ADDRESS_WANTED, offered);
        option = put_option(option, SERVER, server);
    }
    *option = END;
    if (state == RENEWING)
        to = server_end;
    net_send(MESSAGE_LEAST, DHCP_CLIENT, &to);
    return true;
}

/* Seconds until it is sent once more. */
static uint32_t patience(void)
{
    return state >= BOUND ? WAIT_RENEWAL : least(WAIT_FIRST << least(tries, 8), WAIT_LAST);
}

uint64_t dhcp_run(void)
{
    uint64_t now = clock_now();

    if (state >= BOUND && now >= expiry) {
        say("%a is no longer this kernel's", net_address());
        net_set_address(0);
        enter(SELECTING);
    } else if ((state == BOUND || state == RENEWING) && now >= rebind) {
        enter(REBINDING);
    } else if (state == BOUND && now >= renew) {
        enter(RENEWING);
    } else if (state == INIT || (state == REQUESTING && tries >= REQUESTS_MOST)) {
        enter(SELECTING);
    }
    if (state == BOUND)
        return renew;
    if (now >= again && send()) {
        /* Up to a second more, so that not all on a network speak at once. */
        again =
            now + patience() * clock_second() + (random_number() >> 16) * (clock_second() >> 16);
        tries++;
    }
    if (state == RENEWING)
        return again < rebind ? again : rebind;
    return state == REBINDING && expiry < again ? expiry : again;
}

/* ---- receiving ---- */

struct answer {
    uint32_t type, server, lease, renew, rebind; /* 0: it does not say */
};

static bool read_options(const uint8_t *at, uint32_t size, struct answer *answer)
{
    for (uint32_t i = 0; i < size && at[i] != END;) {
        const uint8_t *option = at + i;

        if (*option == PAD) {
            i++;
            continue;
        }
        if (size - i < 2 || size - i - 2 < option[1])
            return false;
        i += 2u + option[1];
        if (*option == TYPE && option[1] == 1)
            answer->type = option[2];
        if (option[1] != 4)
            continue;
        if (*option == SERVER)
            answer->server = get32(option + 2);
        else if (*option == LEASE)
            answer->lease = get32(option + 2);
        else if (*option == RENEW_AFTER)
            answer->renew = get32(option + 2);
        else if (*option == REBIND_AFTER)
            answer->rebind = get32(option + 2);
    }
    return true;
}

static uint64_t after(uint32_t seconds)
{
    return seconds == FOR_EVER ? NEVER : clock_now() + seconds * clock_second();
}

/* The lease begins; what it does not say, or says wrongly, is as RFC 2131, 4.4.5, has it. */
static void bind(uint32_t address, const struct answer *answer)
{
    uint32_t lease = answer->lease;
    uint32_t late = answer->rebind && answer->rebind < lease ? answer->rebind : lease - lease / 8;
    uint32_t early = answer->renew && answer->renew < late ? answer->renew : lease / 2;

    expiry = after(lease);
    rebind = lease == FOR_EVER ? NEVER : after(late);
    renew = lease == FOR_EVER ? NEVER : after(early);
    if (address != net_address()) {
        net_set_address(address);
        say("address %a, from %a for %u s", address, answer->server, lease);
    }
    enter(BOUND);
}

void dhcp_take(const struct datagram *datagram)
{
    const uint8_t *message = datagram->data;
    struct answer answer = {0};
    uint32_t address;

    if (datagram->from.port != SERVER_PORT || datagram->size < OPTIONS ||
        message[OP] != BOOT_REPLY || message[HTYPE] != ETHERNET_TYPE ||
        message[HLEN] != ETHER_BYTES || get32(message + XID) != transaction ||
        memcmp(message + CHADDR, card_address(), ETHER_BYTES) != 0 ||
        get32(message + COOKIE_AT) != COOKIE ||
        !read_options(message + OPTIONS, datagram->size - OPTIONS, &answer) || !answer.server)
        return;
    address = get32(message + YIADDR);
    if (state == SELECTING && answer.type == OFFER && net_is_host(address)) {
        offered = address;
        server = answer.server;
        enter(REQUESTING);
    } else if (state == INIT || state == SELECTING || state == BOUND ||
               (state == REQUESTING && answer.server != server)) {
        return;
    } else if (answer.type == ACK && answer.lease && net_is_host(address)) {
        server_end = datagram->from;
        bind(address, &answer);
    } else if (answer.type == NAK) {
        net_set_address(0);
        enter(SELECTING);
        again = clock_now() + WAIT_FIRST * clock_second();
    }
}
