"""Stories that conversations tell, one module a family of rules; `tioption.build.catalogue` has them all by name."""
