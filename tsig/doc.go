// Package tsig signs DNS messages with a shared secret and verifies those of others (TSIG, RFC 8945).
//
// It owns keys and their algorithms, the record in wire form, the codes of faults, and the signing of a transfer of many messages. It leaves to
// others which key may do what. The caller brings the bytes and the time; a message is read where it lies and never changed. A Fault that Verify
// returns refuses the message: nothing in it may be believed.
//
// Keys do not change once they are made, and many may use them at once. A StreamSigner or a StreamVerifier belongs to one transfer.
//
// Start reading at Keys.Verify in verify.go.
package tsig
