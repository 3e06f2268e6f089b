-- The views of a store. A table's name in braces stands for its committed rows, one per key, each
-- with the shard it came from (`shard`). Whatever follows from the evidence is derived
-- here; the same formulas in Python are in schemas/scale.py, and a test holds the two together.

create or replace macro split_position(key, seed) as
    ('0x' || sha256(seed::varchar || ':' || key)[1:8])::bigint / 4294967296.0::double;

create or replace macro is_test(group_id, seed, test_fraction) as
    split_position(group_id, seed) < test_fraction;

create or replace view image_files as
select * from {images};

-- One row per content: where several files hold the same bytes, the first path stands for all,
-- and a group that was given stands before one that was found, and both before none.
create or replace view images as
select
    image_id, path, name, file_bytes, width_px, height_px, format, mode,
    group_id, grouped_by, perceptual_hash, 1::bigint as file_count
from image_files
where image_id not in (select image_id from internal.repeated_contents)
union all
select
    image_id,
    arg_min(path, path) as path,
    arg_min(name, path) as name,
    any_value(file_bytes) as file_bytes,
    any_value(width_px) as width_px,
    any_value(height_px) as height_px,
    any_value(format) as format,
    any_value(mode) as mode,
    arg_min(group_id, (array_position(['given', 'look_alike', 'alone'], grouped_by), group_id))
        as group_id,
    arg_min(grouped_by, (array_position(['given', 'look_alike', 'alone'], grouped_by), group_id))
        as grouped_by,
    any_value(perceptual_hash) as perceptual_hash,
    count(*) as file_count
from image_files
where image_id in (select image_id from internal.repeated_contents)
group by image_id;

-- Phi(x), the standard normal distribution function: Abramowitz and Stegun, Handbook of
-- Mathematical Functions, 26.2.17; its largest error is 7.5e-8.
create or replace macro normal_tail(x, t) as
    exp(-x * x / 2) / sqrt(2 * pi()) * t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    );

create or replace macro normal_cdf(x) as case
    when x > 0 then 1 - normal_tail(x, 1 / (1 + 0.2316419 * x))
    when x < 0 then normal_tail(-x, 1 / (1 - 0.2316419 * x))
    when x = 0 then 0.5
end;

-- What follows from the levels, of which e1 to e5 are the probabilities up to a common factor, and
-- d1 to d5 their logarithms.
create or replace macro mean_level(e1, e2, e3, e4, e5) as
    (e1 + 2 * e2 + 3 * e3 + 4 * e4 + 5 * e5) / (e1 + e2 + e3 + e4 + e5);

create or replace macro level_entropy(e1, e2, e3, e4, e5, d1, d2, d3, d4, d5) as
    ln(e1 + e2 + e3 + e4 + e5)
    - (e1 * d1 + e2 * d2 + e3 * d3 + e4 * d4 + e5 * d5) / (e1 + e2 + e3 + e4 + e5);

-- The same from a list, for few rows: the probabilities given that one of the levels is answered, 0
-- for a level that was not offered (null); null where fewer than two were.
create or replace macro closed_set(logprobs) as case when list_count(logprobs) >= 2 then
    list_transform(
        list_transform(logprobs, lambda l: coalesce(exp(l - list_max(logprobs)), 0::double)),
        lambda e: e / list_sum(
            list_transform(logprobs, lambda l: coalesce(exp(l - list_max(logprobs)), 0::double))
        )
    )
end;

create or replace macro score_of(probs) as
    (probs[2] + 2 * probs[3] + 3 * probs[4] + 4 * probs[5]) / 4;

create or replace macro certainty(p) as 1 + (
    case when p > 0 then p * ln(p) else 0 end + case when p < 1 then (1 - p) * ln(1 - p) else 0 end
) / ln(2);

-- The five logarithms are spelt out: a list is ten times slower, and there are millions of them.
-- A level that was not offered counts as -1e5, which is below all that can be stored, so that its
-- exponential is 0 to the last bit; where fewer than two were offered all that follows is null.
create or replace view points as
with logs as (
    select
        *,
        coalesce(level_logprobs[1]::double, -1e5) as l1,
        coalesce(level_logprobs[2]::double, -1e5) as l2,
        coalesce(level_logprobs[3]::double, -1e5) as l3,
        coalesce(level_logprobs[4]::double, -1e5) as l4,
        coalesce(level_logprobs[5]::double, -1e5) as l5,
        case
            when l1 + l2 + l3 + l4 + l5 > -9e4 then ln(5)
            when list_count(level_logprobs) >= 2 then ln(list_count(level_logprobs))
        end as greatest_entropy,
        case when greatest_entropy is not null then greatest(l1, l2, l3, l4, l5) end as top
    from {points}
),
relative as (
    select
        *,
        exp(l1 - top) as e1,
        exp(l2 - top) as e2,
        exp(l3 - top) as e3,
        exp(l4 - top) as e4,
        exp(l5 - top) as e5,
        e1 + e2 + e3 + e4 + e5 as mass
    from logs
),
derived as (
    select
        *,
        mean_level(e1, e2, e3, e4, e5) as logit_expectation,
        level_entropy(
            e1, e2, e3, e4, e5, l1 - top, l2 - top, l3 - top, l4 - top, l5 - top
        ) as entropy
    from relative
)
select
    image_id,
    teacher_id,
    prompt_id,
    coalesce((logit_expectation - 1) / 4, given_score) as score,
    coalesce(1 - entropy / greatest_entropy, given_confidence) as confidence,
    logit_expectation,
    (
        e1 * (1 - logit_expectation) ** 2 + e2 * (2 - logit_expectation) ** 2
        + e3 * (3 - logit_expectation) ** 2 + e4 * (4 - logit_expectation) ** 2
        + e5 * (5 - logit_expectation) ** 2
    ) / mass as level_variance,
    entropy,
    exp(top) * mass as level_mass,
    case when mass is not null
        then [e1 / mass, e2 / mass, e3 / mass, e4 / mass, e5 / mass] end as level_probs,
    level_logprobs,
    given_score,
    given_confidence,
    prompt_tokens,
    cached_tokens,
    shard
from derived;

create or replace view teacher_scores as
select
    image_id,
    teacher_id,
    count(*) as prompt_count,
    avg(score) as score,
    avg(confidence) as confidence,
    max(score) - min(score) as score_spread
from points
group by image_id, teacher_id;

create or replace view pairs as
with logits as (
    select
        *,
        (letter_logprobs_ab[1] - letter_logprobs_ab[2])::double as logit_ab,
        (letter_logprobs_ba[2] - letter_logprobs_ba[1])::double as logit_ba,
        coalesce((logit_ab + logit_ba) / 2, logit_ab, logit_ba) as logit,
        1 / (1 + exp(-logit_ab)) as prob_ab,
        1 / (1 + exp(-logit_ba)) as prob_ba,
        exp(letter_logprobs_ab[1]::double) + exp(letter_logprobs_ab[2]::double) as mass_ab,
        exp(letter_logprobs_ba[1]::double) + exp(letter_logprobs_ba[2]::double) as mass_ba
    from {pairs}
),
derived as (
    select
        *,
        coalesce(1 / (1 + exp(-logit)), given_preference) as preference_prob,
        coalesce((prob_ab + prob_ba) / 2, prob_ab, prob_ba, given_preference)
            as preference_prob_mean
    from logits
)
select
    image_a,
    image_b,
    teacher_id,
    prompt_id,
    preference_prob,
    certainty(preference_prob) as confidence,
    preference_prob_mean,
    certainty(preference_prob_mean) as confidence_mean,
    (logit_ab - logit_ba) / 2 as position_bias,
    sign(logit_ab) = sign(logit_ba) as consistent,
    coalesce((mass_ab + mass_ba) / 2, mass_ab, mass_ba) as letter_mass,
    logit_ab,
    logit_ba,
    letter_logprobs_ab,
    letter_logprobs_ba,
    given_preference,
    prompt_tokens,
    cached_tokens,
    shard
from derived;

create or replace view pair_bias as
select
    teacher_id,
    prompt_id,
    count(*) as pair_count,
    avg(position_bias) as mean_position_bias,
    avg(consistent::int) as consistency_rate,
    (count(*) filter (where logit_ab > 0) + count(*) filter (where logit_ba < 0))
        / nullif(count(logit_ab) + count(logit_ba), 0) as first_letter_share,
    avg(letter_mass) as mean_letter_mass
from pairs
group by teacher_id, prompt_id;

-- A pair has its smaller id first, so three images are met once, as a-b, b-c and a-c.
create or replace view cycles as
with judged as (
    select teacher_id, prompt_id, image_a, image_b, preference_prob > 0.5 as first_wins
    from pairs
    where preference_prob <> 0.5
)
select
    ab.teacher_id,
    ab.prompt_id,
    count(*) as triangle_count,
    count(*) filter (
        where ab.first_wins = bc.first_wins and ab.first_wins <> ac.first_wins
    ) as cycle_count,
    cycle_count / triangle_count as cycle_rate
from judged as ab
    join judged as bc
        on bc.image_a = ab.image_b
        and bc.teacher_id = ab.teacher_id and bc.prompt_id = ab.prompt_id
    join judged as ac
        on ac.image_a = ab.image_a and ac.image_b = bc.image_b
        and ac.teacher_id = ab.teacher_id and ac.prompt_id = ab.prompt_id
group by ab.teacher_id, ab.prompt_id;

-- What the points alone say of a pair: the levels of the two images taken for normal and
-- independent; the answers to several prompts are one mixture.
create or replace view implied_pairs as
with levels as (
    -- One text as the key: with two columns DuckDB finds that a and b have the same teacher, and
    -- may join each image to each before it looks at the pairs.
    select
        image_id || ' ' || teacher_id as answer,
        avg(logit_expectation) as mean_level,
        avg(level_variance) + var_pop(logit_expectation) as variance
    from points
    where logit_expectation is not null
    group by answer
)
select
    image_a,
    image_b,
    teacher_id,
    prompt_id,
    case
        when a.mean_level = b.mean_level then 0.5
        when a.variance + b.variance = 0 then (a.mean_level > b.mean_level)::int::double
        else normal_cdf((a.mean_level - b.mean_level) / sqrt(a.variance + b.variance))
    end as implied_prob,
    preference_prob,
    nullif(sign(preference_prob - 0.5), 0) = nullif(sign(a.mean_level - b.mean_level), 0)
        as agrees
from pairs
    join levels as a on a.answer = image_a || ' ' || teacher_id
    join levels as b on b.answer = image_b || ' ' || teacher_id;

create or replace view probes as
select * from {probes};

-- An image with a point that was asked about again; |new - stored| of each level tells more than
-- the score, in which two differences may cancel.
create or replace view sentinels as
select
    teacher_id,
    prompt_id,
    probes.run_id,
    probes.engine,
    probes.asked_at,
    image_id,
    list_max(list_transform(
        [1, 2, 3, 4, 5],
        lambda k: abs(probes.level_logprobs[k]::double - points.level_logprobs[k]::double)
    )) as drift,
    score_of(closed_set(probes.level_logprobs)) - points.score as score_drift
from probes join points using (image_id, teacher_id, prompt_id)
where probes.kind = 'sentinel';

create or replace view drift as
select
    teacher_id,
    prompt_id,
    run_id,
    min(engine) as engine,
    min(asked_at) as asked_at,
    count(*) as image_count,
    avg(drift) as mean_drift,
    max(drift) as max_drift,
    avg(score_drift) as mean_score_drift
from sentinels
group by teacher_id, prompt_id, run_id;

-- Contextual calibration: what a teacher says of pictures of nothing is taken off what it says of
-- an image, level by level, in logarithms. Only the latest run with blanks counts, so that answers
-- of two engines are never mixed; without blanks there is no row.
create or replace view calibrated_points as
with runs as (
    select teacher_id, prompt_id, arg_max(run_id, (asked_at, run_id)) as run_id
    from probes
    where kind = 'blank'
    group by teacher_id, prompt_id
),
blanks as (
    select
        teacher_id,
        prompt_id,
        avg(level_logprobs[1]::double) as b1,
        avg(level_logprobs[2]::double) as b2,
        avg(level_logprobs[3]::double) as b3,
        avg(level_logprobs[4]::double) as b4,
        avg(level_logprobs[5]::double) as b5
    from probes join runs using (teacher_id, prompt_id, run_id)
    where kind = 'blank'
    group by teacher_id, prompt_id
),
shifted as (
    select
        image_id,
        teacher_id,
        prompt_id,
        coalesce(level_logprobs[1] - b1, -1e5) as l1,
        coalesce(level_logprobs[2] - b2, -1e5) as l2,
        coalesce(level_logprobs[3] - b3, -1e5) as l3,
        coalesce(level_logprobs[4] - b4, -1e5) as l4,
        coalesce(level_logprobs[5] - b5, -1e5) as l5,
        greatest(l1, l2, l3, l4, l5) as top,
        (l1 > -5e4)::int + (l2 > -5e4)::int + (l3 > -5e4)::int + (l4 > -5e4)::int
            + (l5 > -5e4)::int as level_count
    from points join blanks using (teacher_id, prompt_id)
),
relative as (
    select
        *,
        exp(l1 - top) as e1,
        exp(l2 - top) as e2,
        exp(l3 - top) as e3,
        exp(l4 - top) as e4,
        exp(l5 - top) as e5,
        e1 + e2 + e3 + e4 + e5 as mass
    from shifted
    where level_count >= 2
)
select
    image_id,
    teacher_id,
    prompt_id,
    (mean_level(e1, e2, e3, e4, e5) - 1) / 4 as score,
    1 - level_entropy(
        e1, e2, e3, e4, e5, l1 - top, l2 - top, l3 - top, l4 - top, l5 - top
    ) / ln(level_count) as confidence,
    [e1 / mass, e2 / mass, e3 / mass, e4 / mass, e5 / mass] as level_probs
from relative;

create or replace view embeddings as
select
    image_id,
    teacher_id,
    prompt_id,
    octet_length(state) // 2 as width,
    state,
    prompt_tokens,
    cached_tokens,
    shard
from {embeddings};

create or replace view mos as
select *, (mos - scale_min) / (scale_max - scale_min) as mos_unit
from {mos};

create or replace view predictions as
select * from {predictions};

create or replace view rejections as
select * from {rejections};
