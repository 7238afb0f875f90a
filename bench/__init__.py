"""Side-by-side measurements: one module each, run by `just bench NAME`, its figure printed last."""
