package wire

import (
	"encoding/binary"
	"errors"
)

// Sizes of the fixed parts of a message.
const (
	HeaderLen   = 12    // RFC 1035 section 4.1.1
	MessageMax  = 65535 // by the length prefix of TCP
	UDPSafe     = 1232  // the largest UDP payload that does not fragment (DNS flag day 2020)
	UDPMin      = 512   // what a client without EDNS takes, RFC 1035 section 4.2.1
	OPTLen      = 11    // an OPT record without options
	pointersMax = 126   // hops of compression followed in one name
)

// Header flags, as bits of the 16-bit word at offset 2.
const (
	FlagQR = 1 << 15
	FlagAA = 1 << 10
	FlagTC = 1 << 9
	FlagRD = 1 << 8
	FlagRA = 1 << 7
	FlagAD = 1 << 5
	FlagCD = 1 << 4
)

// Response codes (IANA DNS RCODEs). BadVers and BadCookie are extended: their upper bits travel in the OPT record.
const (
	RcodeSuccess   = 0
	RcodeFormErr   = 1
	RcodeServFail  = 2
	RcodeNXDomain  = 3
	RcodeNotImp    = 4
	RcodeRefused   = 5
	RcodeYXDomain  = 6
	RcodeYXRRSet   = 7
	RcodeNXRRSet   = 8
	RcodeNotAuth   = 9
	RcodeNotZone   = 10
	RcodeBadVers   = 16
	RcodeBadCookie = 23
)

// Record types that the path of a query names (IANA DNS RR TYPEs).
const (
	TypeA      = 1
	TypeNS     = 2
	TypeCNAME  = 5
	TypeSOA    = 6
	TypePTR    = 12
	TypeHINFO  = 13
	TypeMX     = 15
	TypeTXT    = 16
	TypeAAAA   = 28
	TypeSRV    = 33
	TypeDNAME  = 39
	TypeOPT    = 41
	TypeDS     = 43
	TypeRRSIG  = 46
	TypeNSEC   = 47
	TypeDNSKEY = 48
	TypeNSEC3  = 50
	TypeSVCB   = 64
	TypeHTTPS  = 65
	TypeTSIG   = 250
	TypeIXFR   = 251
	TypeAXFR   = 252
	TypeANY    = 255
)

// IsSVCB reports whether records of a type lead to services as those of RFC 9460 do.
func IsSVCB(rtype uint16) bool { return rtype == TypeSVCB || rtype == TypeHTTPS }

// Classes and opcodes.
const (
	ClassIN   = 1
	ClassCH   = 3
	ClassNONE = 254 // of UPDATE messages alone, RFC 2136 section 2.4
	ClassANY  = 255

	OpcodeQuery  = 0
	OpcodeNotify = 4
	OpcodeUpdate = 5
)

// EDNS option codes (IANA DNS EDNS0 Option Codes).
const (
	OptionNSID      = 3
	OptionECS       = 8
	OptionCookie    = 10
	OptionKeepAlive = 11
	OptionPadding   = 12
	OptionEDE       = 15
)

// Faults of a message in wire form.
var (
	ErrCut     = errors.New("message is cut off")
	ErrName    = errors.New("name in message is malformed")
	ErrPointer = errors.New("compression pointer does not point backwards")
)

// ID returns the message's id. The message has at least HeaderLen octets, here and in all small accessors below.
func ID(msg []byte) uint16 { return binary.BigEndian.Uint16(msg) }

// SetID sets the message's id.
func SetID(msg []byte, id uint16) { binary.BigEndian.PutUint16(msg, id) }

// Flags returns the 16 bits from QR to RCODE.
func Flags(msg []byte) uint16 { return binary.BigEndian.Uint16(msg[2:]) }

// SetFlags sets the 16 bits from QR to RCODE.
func SetFlags(msg []byte, flags uint16) { binary.BigEndian.PutUint16(msg[2:], flags) }

// Rcode returns the lower four bits of the response code.
func Rcode(msg []byte) int { return int(msg[3] & 15) }

// SetRcode sets the lower four bits of the response code.
func SetRcode(msg []byte, rcode int) { msg[3] = msg[3]&^15 | byte(rcode&15) }

// Opcode returns the kind of query.
func Opcode(msg []byte) int { return int(msg[2] >> 3 & 15) }

// Count returns one of the four section counts: 0 question, 1 answer, 2 authority, 3 additional.
func Count(msg []byte, section int) int { return int(binary.BigEndian.Uint16(msg[4+2*section:])) }

// SetCount sets one of the four section counts.
func SetCount(msg []byte, section, n int) { binary.BigEndian.PutUint16(msg[4+2*section:], uint16(n)) }
