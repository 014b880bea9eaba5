# Writes vectors.txt, messages that dnspython has signed: run it as /usr/bin/python3 vectors.py >vectors.txt (Debian: python3-dnspython).
# A line: what it is, the key's secret, the algorithm, the time in seconds, the MAC of the request or -, and messages, all octets in hexadecimal.
import base64, random, time, dns.message, dns.tsig, dns.name, dns.rrset, dns.flags
random.seed(8945)
now = 1750000000
time.time = lambda: now
class clock:
    def time(self): return now
dns.message.time = clock()
def out(what, key, mac, *messages):
    print(what, key.secret.hex(), str(key.algorithm).rstrip("."), now, mac.hex() if mac else "-", *[m.hex() for m in messages])
for algorithm in ("hmac-sha256", "hmac-sha384", "hmac-sha512"):
    secret = bytes(random.randrange(256) for _ in range(32))
    key = dns.tsig.Key("Key.Example.", secret, algorithm + ".")
    q = dns.message.make_query("corp.example.", "AXFR", id=random.randrange(65536))
    q.use_tsig(key, fudge=300)
    request = q.to_wire()
    out("request", key, None, request)
    # a request whose id a forwarder has changed
    out("forwarded", key, None, bytes([request[0] ^ 255]) + request[1:])
    r = dns.message.make_response(q)
    r.answer.append(dns.rrset.from_text("corp.example.", 300, "IN", "SOA", "ns.corp.example. root.corp.example. 7 3600 600 86400 300"))
    r.use_tsig(key, fudge=300)
    r.request_mac = q.mac
    out("reply", key, q.mac, r.to_wire())
    # a transfer of six messages: each after the first is signed with the MAC of the one before, and some have no signature
    messages, ctx = [], None
    for i in range(6):
        m = dns.message.Message(id=q.id); m.flags |= dns.flags.QR
        m.answer.append(dns.rrset.from_text(f"h{i}.corp.example.", 300, "IN", "A", f"192.0.2.{i}"))
        if i in (2, 3):
            wire = m.to_wire(); ctx.update(wire)
            messages.append(wire)
            continue
        m.use_tsig(key, fudge=300); m.request_mac = q.mac
        wire = m.to_wire(multi=True, tsig_ctx=ctx); ctx = m.tsig_ctx
        messages.append(wire)
    out("stream", key, q.mac, *messages)
