# A token can do what its owner can, so nobody's token is an administrator's.
package main

import rego.v1

deny_administrator contains {"msg": msg, "address": change.address} if {
	some user in input.estate.users
	some role in user.roles
	lower(role) == "administrator"
	some change in input.changes
	startswith(change.address, sprintf("%s.", [user.address]))
	change.action in {"create", "rotate", "enable"}
	msg := sprintf("%s has the role %s", [user.address, role])
}
