// Package querylog: see types below.
package querylog
