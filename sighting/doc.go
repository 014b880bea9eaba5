// Package sighting: see types below.
package sighting
