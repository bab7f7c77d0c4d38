// Package archtest is a test that the code keeps to the architecture, which is
// two tables in table_test.go: who may import whom, and who may import which
// dependency. It owns the rules and knows no package's inside.
//
// A line added to either table is a decision, made in review.
package archtest
