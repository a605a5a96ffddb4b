-- What a backer at risk is told: whether their card is tried again, or only another one helps.
ALTER TABLE pledge_view ADD COLUMN card_refused boolean NOT NULL DEFAULT false;
