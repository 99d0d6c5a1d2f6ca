# What is deleted on a Friday is missed on a Saturday.
package main

import rego.v1

deny_friday contains {"msg": msg, "address": step.address} if {
	time.weekday(time.parse_rfc3339_ns(input.created_at)) == "Friday"
	some step in input.steps
	step.verb == "delete"
	msg := sprintf("%s: nothing is deleted on a Friday", [step.id])
}
