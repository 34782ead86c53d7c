"""The verb report: records of a study in, one page, a table and a record out."""
