// Package dnsname holds domain names in wire form: length-prefixed labels that end with the root's zero byte
// (RFC 1035 section 3.1), uncompressed.
//
// It owns parsing, printing, lower case, order and the limits of a name (63 octets a label, 255 octets a name). It is
// pure: no state, no I/O, every function may be called from any goroutine. Two forms are used:
//
//   - Name, a comparable value for maps, records and configuration. Its String escapes whatever a terminal, a log or
//     a spreadsheet could take for something else.
//   - []byte, for the path of a query, where a name is a slice of the packet and nothing may be allocated.
//
// Start reading at Name.
package dnsname
