// Package dnstest is a small internet on loopback, made from one text, for tests that need somebody to ask.
//
// It owns a fake upstream (Server, made by Start), a tree of authoritative servers (Tree, made by StartTree), and FreePort, which finds a port
// for a server that a test starts itself. Both count what they were asked and misbehave where a Fault says so. It leaves judging what comes
// back to the test. Only tests import it. Servers and trees may be used by any number of goroutines; they end with the test that started them.
//
// # A recursive server
//
// A Server listens on a port of 127.0.0.1, UDP and TCP, and answers as a recursive resolver would from records in presentation format, or late,
// never, truncated, too long, octet by octet, with a wrong id or question, with SERVFAIL; or it goes away and comes back.
//
//	up := dnstest.Start(t, `
//	    example.          3600 SOA ns.example. host.example. 1 3600 600 86400 60
//	    www.example.       300 A   192.0.2.1
//	    alias.example.     300 CNAME www.example.
//	    *.wild.example.    300 A   192.0.2.2
//	    ! slow.example     delay=200ms
//	    ! flaky.example    times=2 drop
//	`)
//	… ask up.Addr() …
//	if got := up.Asked("www.example", dns.TypeA); got != 1 { … }
//
// # A tree of authoritative servers
//
// A Tree is zones and the servers that serve them, each at an address of its own in 127.0.0.0/8, all at one port. It answers as RFC 1034, 4035,
// 5155 and 6672 say, and signs as it is asked.
//
//	tree := dnstest.StartTree(t, `
//	    zone .               server a.root.test @1                       sign
//	    zone test            server ns.nic.test @2                       sign nsec3 optout
//	    zone example.test    server ns1.example.test @3, ns2.example.test @4  sign alg=15
//	        www              A     192.0.2.1
//	        alias            CNAME www
//	        *.wild           A     192.0.2.2
//	        a.b              TXT   "b is an empty non-terminal"
//	        old              DNAME new.example.test.
//	    zone insecure.test   server ns.insecure.test @5
//	        @                MX    10 mail
//	        mail             A     192.0.2.3
//	    ! @3 slow.example.test delay=200ms
//	    ! sign www.example.test expired
//	`)
//	… resolve with tree.RootHints(), tree.Port() and tree.Anchors() …
//
// A line is one of four things; indentation means nothing, and a semicolon begins a comment.
//
//	zone NAME server SERVER ADDRESS… [SERVER ADDRESS…]… [ttl=N] [sign WORD…]
//	RECORD                                 of the zone above it
//	! SERVERS NAME WORD…                   a fault
//	! sign NAME KIND [type=TYPE]           a fault of signing
//	+ SERVERS NAME SECTION RECORD          an extra record
//
// Names in records are as in a master file: without a final dot they are relative to the zone, and "@" is the zone itself. All other names are
// absolute, and the final dot may be left out.
//
// An address is "@N", which stands for address N, from 1 to 254, of a block of 127.0.0.0/8 that the tree picks for itself; or ::1, for one
// server of all IPv6; or any other address of loopback. "@N" may also stand in records, such as "ns9 A @9", where nobody listens. A server that
// has its address in another line of the text needs none. A zone may stand in a text several times, with servers and records that differ.
//
// What a zone needs and does not have is made: SOA and NS records, addresses of servers in the zone that their names lie in, and in the parent
// zone NS, glue and DS records. An NS, SOA, DS or address record in the text is instead of what would be made. TTLs are 300 seconds, and 60 for
// negative answers.
//
// # Words after sign
//
//	alg=13,8           algorithms (13); each has keys of its own. Known ones are 5, 7, 8, 10, 13, 14 and 15; with any other number keys
//	                   and signatures are random octets, as from the future
//	keys=ksk,zsk       the keys (ksk,zsk): ksk, zsk, csk (both in one), spare (published only), standby (published, with DS), revoked
//	digest=2,4         digests of the DS records (2): 1, 2, 4; others are right but called by another number
//	nsec3              NSEC3 instead of NSEC; iterations=N (0), salt=HEX (none), optout
//	compact            what is not there is denied by an NSEC record of its own, with NOERROR for those who set DO (RFC 9824)
//	island             the parent has no DS records, and says so
//	inception=-1h expiration=336h   relative to the clock of the tree
//
// # Faults of servers
//
// SERVERS is "@N", a name, several of these with commas, or "*". NAME is a name, "*.NAME" for all below it, or "*". The words are those of
// Fault in lower case: drop, loss=0.3, delay=200ms, times=2, type=DNSKEY, rcode=SERVFAIL, close (of TCP), truncate, trickle, pad=N, noedns
// (FORMERR), wrongid, wrongquestion, lowercase, junk, copies=N, thenright; and for trees alone lame (REFUSED), noaa, refer=ZONE (a referral
// there: "refer=." is upwards, the zone itself a loop), empty, nosoa, noglue, noopt, nodnssec, chatty (the zone's NS records in every answer).
// "! SERVERS * dead" closes the sockets, and
// "! SERVERS * notcp" those of TCP; whoever asks is told that nobody listens, while drop says nothing.
//
// # Faults of signing
//
// NAME is an owner name, or a zone, which stands for all that it signs; type= narrows it. What a parent signs at a cut needs a type
// ("type=DS").
//
//	expired future              signatures of another time
//	no-sigs                     no signatures
//	bad-sig                     one bit is wrong
//	wrong-key wrong-tag         by a key that is not in the zone; with another key tag
//	wrong-signer[=NAME]         the signer's name is the parent's, or NAME
//	labels=N                    as expanded from a wildcard of N labels; with more labels than the name has if N is larger
//	origttl=N                   another original TTL
//	junk-sigs=N                 N wrong signatures of the same key before the right one
//	missing-nsec half-nsec      no proof of absence, or only its first record; NAME is the name that is asked for, the cut, or the zone
//	wrong-nsec                  other NSEC or NSEC3 records of the zone
//	bad-ds                      the parent's digest is wrong (NAME is the zone, here and below)
//	no-ds                       the parent has no DS, and does not prove it
//	no-dnskey                   no DNSKEY records
//	extra-algo                  a DS and a DNSKEY of one more algorithm, which signs nothing
//	bad-protocol no-zone-flag   in all DNSKEY records
//	colliding-keys=N            N more keys with the tag of the last one
//
// # Hostile servers
//
// An extra record, "+ @3 www.example.test additional www.bank.test. A 192.0.2.66", is added to every reply about a name: SECTION is answer,
// authority or additional. What no text can say is made by a Hook, which gets the right reply and returns what is sent. Tree.Sign signs for it.
// An alias without end:
//
//	tree.Hook("@3", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
//	    h := dns.RR_Header{Name: q.Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 300}
//	    right.Answer = []dns.RR{&dns.CNAME{Hdr: h, Target: fmt.Sprintf("n%d.example.test.", next.Add(1))}}
//	    return right
//	})
//
// # Zones for other servers
//
// Tree.Freeze writes the zones of a tree down as master files, with their signatures and proofs, for a name server that a test starts itself.
//
// # A network of a test's own
//
// OwnNetwork is for tests whose servers need port 53, or a link that takes little at a time.
//
// Start reading at Server, then Fault; at Tree, then authority.
package dnstest
