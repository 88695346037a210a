"""What went wrong with the IMPS operator, and the test that shows that it cannot go wrong here.

Each defect was read from IMPS's last source (July 2023) and has a number. On a real kube-apiserver wherever the defect
lives there, else in virtual time or on plain values.

| defect of IMPS | here |
|---|---|
| D1 a failing source is left out of every target | a failing source keeps its last content: ``test_credentials``, d01 |
| D2 an expired token counts as success | expired is never Ready: d02 |
| D3 the token cache forgets at once | a keeper holds its token, and stores it: d03 |
| D4 the cache key leaves the role out | an identity is a digest of all that shapes the call: d04 |
| D5 one lock over every call to AWS | each identity has a keeper of its own, and no lock: d05 |
| D6 no backoff | from a second to five minutes: d06 |
| D7 every host under amazonaws.com | hosts follow the region's partition, or are given: d07 |
| D8 static keys only | the process's own identity, roles, external IDs, sessions: d08 |
| D9 the merge order is random | the order in the policy decides: d09 |
| D10 fields of a docker config are lost | an entry keeps all its fields: d10 |
| D11 panics | an answer of no use is a failed mint, never an exception that ends anything: d11 |
"""
