# No token is older than 90 days once the plan is applied.
package main

import rego.v1

longest_ns := ((90 * 24) * 3600) * 1000000000

renewed contains change.address if {
	some change in input.changes
	change.action in {"rotate", "invalidate", "delete"}
}

deny_too_old contains {"msg": msg, "address": age.address} if {
	some age in input.ages
	age.issued_at != null
	time.parse_rfc3339_ns(input.created_at) - time.parse_rfc3339_ns(age.issued_at) > longest_ns
	not age.address in renewed
	msg := sprintf("%s was issued %s, more than 90 days ago, and the plan does not rotate it", [age.address, age.issued_at])
}

warn_unknown_age contains {"msg": msg, "address": age.address} if {
	some age in input.ages
	age.issued_at == null
	not age.address in renewed
	msg := sprintf("nobody knows how old %s is", [age.address])
}
