-- A pledge at risk whose hold is gone does not count as collectable.
ALTER TABLE booked_pledge ADD COLUMN hold_lost boolean NOT NULL DEFAULT false;
