"""What `gyoza doctor` looks at: one module for each group of checks, each a list of findings.

Looking and judging are apart wherever there is something to judge: a judgement takes values. All of
it stands on the base install, and nothing here raises because something is absent or broken: that
is what it has come to say.
"""
