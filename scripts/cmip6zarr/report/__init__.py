"""What a person looks at: sizes and their reasons, quick looks, the report of a campaign."""
