# Every instance of a production connection is to refuse API tokens.
package main

import rego.v1

production := {"prod"}

deny_open_production contains {"msg": msg, "address": instance.address} if {
	some instance in input.estate.instances
	split(instance.address, ".")[1] in production
	instance.wanted_external_api_auth != "IAM_ONLY"
	msg := sprintf("%s is in production, and the spec does not ask for IAM_ONLY", [instance.address])
}
