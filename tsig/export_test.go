package tsig

// UnsignedMax is unsignedMax.
const UnsignedMax = unsignedMax
