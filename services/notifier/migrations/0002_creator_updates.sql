-- News for the backers of one tier. Null: for all backers of the campaign.
ALTER TABLE fan_out ADD COLUMN tier_id uuid;
