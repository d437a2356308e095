"""All datasets together: what is left to do, bundles, states, tables, and what a campaign will take."""
