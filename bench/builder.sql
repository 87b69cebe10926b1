-- What the builder computes of the example, as somebody would write it for DuckDB by hand: the same
-- cleaning, windows, segments, score and interests. `$data` is the folder of the feeds; the table
-- `words` (department, product_category, category; null: not sold) is there already.

CREATE TABLE grouped AS
SELECT CASE
         WHEN words.department IS NOT NULL AND words.category IS NULL THEN 'not sold'
         WHEN household_id IS NULL OR basket_id IS NULL THEN 'nobody'
         WHEN transaction_timestamp > TIMESTAMP '2018-01-01' THEN 'too late'
         WHEN quantity < 1 OR quantity > 200 THEN 'quantity'
         WHEN sales_value < 0.01 OR sales_value > 1000 THEN 'amount'
       END AS left_out,
       household_id AS who, basket_id AS basket, words.category AS category,
       count(*) AS lines, max(transaction_timestamp) AS bought,
       sum(CAST(round(sales_value * 100) AS BIGINT))::BIGINT AS cents,
       sum(CAST(round(retail_disc * 100) AS BIGINT) + CAST(round(coupon_disc * 100) AS BIGINT)
           + CAST(round(coupon_match_disc * 100) AS BIGINT))::BIGINT AS saved
FROM read_parquet('$data/transactions.parquet')
LEFT JOIN read_parquet('$data/products.parquet') AS p USING (product_id)
LEFT JOIN words ON words.department = coalesce(p.department, '')
               AND words.product_category = coalesce(p.product_category, '')
GROUP BY ALL;

CREATE TABLE left_out AS SELECT left_out, sum(lines) AS lines FROM grouped GROUP BY left_out;
CREATE VIEW baskets AS FROM grouped WHERE left_out IS NULL;

CREATE TABLE totals AS
WITH orders AS (
  SELECT who, basket, max(bought) AS bought, sum(lines) AS lines, sum(cents) AS cents,
         sum(saved) AS saved,
         date_diff('second', max(bought), TIMESTAMP '2018-01-01') // 604800 AS week,
         isodow(max(bought)) AS day
  FROM baskets GROUP BY who, basket)
SELECT who, min(bought) AS first_at, max(bought) AS last_at, $totals,
       count(*) FILTER (day = 1 AND $year) AS mon, count(*) FILTER (day = 2 AND $year) AS tue,
       count(*) FILTER (day = 3 AND $year) AS wed, count(*) FILTER (day = 4 AND $year) AS thu,
       count(*) FILTER (day = 5 AND $year) AS fri, count(*) FILTER (day = 6 AND $year) AS sat,
       count(*) FILTER (day = 7 AND $year) AS sun
FROM orders GROUP BY who;

CREATE TABLE by_category AS
SELECT who, category, $per_category
FROM baskets WHERE category IS NOT NULL GROUP BY who, category;

CREATE TABLE answers AS
WITH people AS (
  SELECT household_id AS who, age, home_ownership, household_comp, income
  FROM read_parquet('$data/demographics.parquet')),
ids AS (SELECT who FROM totals UNION SELECT who FROM people),
wide AS (
  SELECT who,
    max(orders_90d) FILTER (category = 'pet') AS pet,
    max(orders_90d) FILTER (category = 'coffee') AS coffee,
    max(orders_90d) FILTER (category = 'meat') AS meat,
    max(orders_90d) FILTER (category = 'seafood') AS seafood,
    max(orders_90d) FILTER (category = 'produce') AS produce,
    max(orders_90d) FILTER (category = 'pantry') AS pantry,
    max(orders_90d) FILTER (category = 'breakfast') AS breakfast,
    max(orders_90d) FILTER (category = 'dairy') AS dairy,
    max(orders_90d) FILTER (category = 'snacks') AS snacks,
    max(orders_90d) FILTER (category = 'baby') AS baby,
    max(lines_90d) FILTER (category = 'produce') AS produce_lines,
    max(lines_90d) FILTER (category = 'frozen') AS frozen_lines,
    max(cents_90d) FILTER (category = 'produce') AS produce_cents,
    max(cents_90d) FILTER (category = 'alcohol') AS alcohol_cents
  FROM by_category GROUP BY who)
SELECT ids.who, age, income, household_comp, home_ownership, weeks_90d / 13.0 AS propensity,
  weeks_90d >= 10 AND last_at >= TIMESTAMP '2017-12-18' AS loyal,
  last_at < TIMESTAMP '2017-12-02' AS dormant,
  cents_90d >= 15000 AND last_at >= TIMESTAMP '2017-12-02'
    AND 6 * coalesce(cents_30d, 0) < cents_90d AS lapsing,
  first_at >= TIMESTAMP '2017-10-03' AS new_customer,
  cents_90d > 100000 AS big_spender,
  orders_365d >= 10 AND 2 * (sat + sun) > orders_365d AS weekend_shopper,
  orders_90d >= 4 AND 4 * saved_90d > cents_90d + saved_90d AS bargain_hunter,
  pet >= 3 AS pet_owner, coffee >= 3 AS coffee_lover,
  produce_lines >= 10 AND 5 * produce_cents > cents_90d AS green_basket,
  (meat >= 4 OR seafood >= 2) AND produce >= 4 AND pantry >= 4
    AND coalesce(frozen_lines, 0) < produce_lines AS home_cook,
  household_comp IN ('1 Adult Kids', '2 Adults Kids')
    OR (household_comp IS NULL AND breakfast >= 8 AND dairy >= 8 AND snacks >= 8) AS family,
  age IN ('19-24', '25-34') AND income NOT IN ('Under 15K', '15-24K', '25-34K') AS young,
  baby >= 2 AS baby_family, alcohol_cents > 6000 AS wine_and_beer
FROM ids LEFT JOIN totals USING (who) LEFT JOIN wide USING (who) LEFT JOIN people USING (who);

CREATE TABLE strongest AS
SELECT who, category, weight,
       row_number() OVER (PARTITION BY who ORDER BY weight DESC, category) AS rank
FROM (SELECT who, category, sum(lines * 0.5 * pow(2, -epoch(TIMESTAMP '2018-01-01' - bought)
                                                     / 1209600)) AS weight
      FROM baskets WHERE category IS NOT NULL GROUP BY who, category)
WHERE weight >= 0.05
QUALIFY rank <= 8;
