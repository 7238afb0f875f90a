"""The edit loop of `gyoza dev PATH`: saves are noticed, made into versions, deployed and told of.

`saves` notices, `updates` decides and deploys, `retention` removes, `telling` finds the words and
`watch` ties them together for one project.
"""
