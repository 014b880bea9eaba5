// Package spelling finds the word that was probably meant by one that nobody knows: a key of the configuration, a parameter of the API, an argument of a
// command. It knows no words itself and keeps nothing; anybody may call it at any time. Start reading at Nearest.
package spelling
