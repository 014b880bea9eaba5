// Package dnstest is a small internet on loopback, made from one text, for tests that need somebody to ask.
//
// It owns a fake upstream: a Server that listens on a port of 127.0.0.1, UDP and TCP, answers as a
// recursive resolver would from records in presentation format, and misbehaves where a Fault says so: late, lost, truncated,
// too long, octet by octet, with a wrong id or question, with SERVFAIL; or goes away and comes back. It counts what it was asked. FreePort finds a
// port for a server that a test starts itself. It leaves judging what comes back to the test.
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
// Only tests import it. A Server may be used by any number of goroutines; it ends with the test that started it.
//
// Start reading at Server, then Fault.
package dnstest
