package sighting_test

func childMain() bool { return false }
