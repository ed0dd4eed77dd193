"""The router: routes packets between workers' browsers and the launcher. A leaf: it runs alone on a bare host."""
