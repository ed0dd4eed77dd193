"""Tasks that run, shipped with the package: `falsework new DIR --example NAME` copies one."""
