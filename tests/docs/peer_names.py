"""The public names of the libraries that ``docs/coming-from.md`` maps to ours.

They were listed with ``inspect``, so that no name is missing; the libraries themselves aren't needed.
"""

from collections.abc import Iterator
from typing import Final

__all__ = ["PEERS", "names_of"]

PEERS: Final = {
    "lexigram-http": """
BaseURLHTTPClient base_url= headers= timeout= name= retry= circuit_breaker= .close .stop .request
    .get .post .put .delete .patch .stream
HTTPClient config= pool= retry_policy= circuit_breaker= interceptors= resilience= metrics= .config
    .pool .start .stop .request .post_multipart .stream .sse .session_context .get .post .put
    .delete .patch .head
StreamContext resp= .status .raise_for_status .aiter_lines
ConnectionPoolConfig max_connections= max_keepalive_connections= max_connections_per_host=
    timeout= ttl_dns_cache= force_close=
HTTPClientConfig name= enabled= env= pool= proxy= trust_env= cookie_jar= enforce_url_safety=
    max_redirects=
CONTENT_TYPE_JSON
CONTENT_TYPE_TEXT
CONTENT_TYPE_FORM
DEFAULT_ENCODING
DEFAULT_TIMEOUT
GET
POST
PUT
DELETE
PATCH
OPTIONS
HEAD
DEFAULT_MAX_CONNECTIONS
RequestCompletedEvent .url .method .status_code
RequestRetryExhaustedEvent .url .method .attempt_count
RequestTimeoutEvent .url .method .timeout_seconds
HTTPCircuitOpenError
HTTPConnectionError
HTTPClientError
HTTPInterceptorError
HTTPRetryExhaustedError
HTTPTimeoutError
HTTPClientProtocol
InterceptorProtocol .intercept_request .intercept_response
InterceptorChainProtocol .add_interceptor .remove_interceptor .process_request .process_response
build_url base= path= params=
extract_json_type content_type=
format_timeout timeout=
merge_headers normalize=
parse_headers headers=
parse_url_parts url=
ConnectionPool max_connections= max_keepalive_connections= max_connections_per_host= timeout=
    ttl_dns_cache= force_close= verify_ssl= proxy= trust_env= cookie_jar= .start .stop .is_started
    .warm_up
HTTPModule .configure .stub
HTTPProvider config= .from_config .register .boot .shutdown .health_check
RequestContext .method .url .headers .service_name .attempt .start_time
ResponseContext .status .headers .content_length .duration .success .error
validate_host host=
validate_port port=
validate_positive_int value= field=
validate_timeout timeout=
validate_url url= require_scheme=
HTTPRequestSentHook .method .url
HTTPResponseReceivedHook .method .url .status_code
HTTPStatusError
HTTPUnsafeURLError
HttpStatusError
RetryPolicy config= .execute
RetryConfig max_attempts= base_delay= max_delay= backoff_factor= jitter= retry_on= retry_if=
    on_retry= retry_on_result= abort_on= abort_if= retry_sync= idempotent_methods_only=
HttpResponse .status .headers .body .text .json .url .method .content_length .raise_for_status .Ok
ServerSentEvent .data .event .event_id .retry
Ok
Err
Result .is_ok .is_err .unwrap .unwrap_or .unwrap_err
HTTPClient.request headers= params= json= data=
HTTPClient.post_multipart fields=
BaseURLHTTPClient.post data=
ConnectionPool.warm_up urls=
HTTPProvider.health_check timeout=
HTTPModule.configure config=
RetryPolicyProtocol
CircuitBreakerProtocol
ResiliencePipelineProtocol
MetricsRecorderProtocol
CircuitBreakerRegistryProtocol
HealthCheckResult
DynamicModule
HTTPError
""",
    "httpware": """
STATUS_TO_EXCEPTION
AsyncBulkhead max_concurrent= acquire_timeout=
AsyncCircuitBreaker failure_threshold= reset_timeout= success_threshold= failure_status_codes=
    failure_rate_threshold= window_seconds= minimum_calls= .state
AsyncClient httpx2_client= decoders= middleware= max_response_body_bytes= base_url= headers=
    params= cookies= timeout= limits= auth= verify= trust_env= http1= http2= proxy=
    follow_redirects= max_redirects= default_encoding= transport= mounts= .send
    .send_with_response .build_request .get .get_with_response .post .post_with_response .put
    .put_with_response .patch .patch_with_response .delete .delete_with_response .head .options
    .request .request_with_response .stream .aclose
AsyncKeyedCircuitBreaker key= failure_threshold= reset_timeout= success_threshold=
    failure_status_codes= failure_rate_threshold= window_seconds= minimum_calls=
AsyncMiddleware
AsyncNext
AsyncRetry max_attempts= base_delay= max_delay= retry_status_codes= retry_methods=
    respect_retry_after= budget=
AsyncTimeout timeout=
BadRequestError
Bulkhead
BulkheadFullError max_concurrent= acquire_timeout=
CircuitBreaker .state
CircuitOpenError retry_after=
CircuitState .CLOSED .OPEN .HALF_OPEN
Client .close .send .send_with_response .build_request .get .get_with_response .post
    .post_with_response .put .put_with_response .patch .patch_with_response .delete
    .delete_with_response .head .options .request .request_with_response .stream
ClientError
ClientStatusError
ConflictError
DecodeError response= model= original=
ForbiddenError
InternalServerError
KeyedCircuitBreaker
Middleware
MissingDecoderError model= registered_names=
NetworkError
Next
NotFoundError
RateLimitedError
ResponseDecoder .can_decode .decode
ResponseTooLargeError status_code= limit= content_length= reason=
Retry
RetryBudget ttl= min_retries_per_sec= percent_can_retry= .deposit .try_withdraw
RetryBudgetExhaustedError last_response= last_exception= attempts=
ServerStatusError
ServiceUnavailableError
StatusError response= .response
TimeoutError
TransportError
UnauthorizedError
UnprocessableEntityError
after_response
async_after_response
async_before_request
async_on_error
before_request
on_error
AsyncClient.request response_model= params= headers= cookies= timeout= extensions= json= content=
    data= files=
""",
    "httpx-retries": """
Retry total= allowed_methods= status_forcelist= retry_on_exceptions= backoff_factor=
    respect_retry_after_header= max_backoff_wait= backoff_jitter= attempts_made= total_timeout=
    elapsed_sleep= validate_response= .is_retryable_method .is_retryable_status_code
    .is_retryable_exception .is_retry .is_exhausted .parse_retry_after .backoff_strategy .sleep
    .asleep .copy_with .increment .RETRYABLE_METHODS .RETRYABLE_STATUS_CODES .RETRYABLE_EXCEPTIONS
RetryTransport transport= retry= .close .aclose .handle_request .handle_async_request
aretry_request client= method= url= retry=
retry_request client= method= url= retry=
extensions["retry"]
""",
    "tenacity": """
NO_RESULT
AsyncRetrying .iter .wraps
AttemptManager retry_state=
BaseAction
BaseRetrying .copy .statistics .iter_state .wraps .begin .iter
DoAttempt
DoSleep
Future attempt_number= .failed .construct
RetryAction sleep=
RetryCallState .attempt_number .outcome .outcome_timestamp .idle_for .upcoming_sleep .next_action
    .start_time .fn .args .kwargs .retry_object .get_fn_name .seconds_since_start
    .prepare_for_next_attempt .set_result .set_exception
RetryError last_attempt= .last_attempt .reraise
Retrying
TryAgain
WrappedFn
after_log logger= log_level= sec_format=
after_nothing
before_log logger= log_level=
before_nothing
before_sleep_log logger= log_level= exc_info= sec_format=
before_sleep_nothing
retry sleep= stop= wait= retry= before= after= before_sleep= reraise= retry_error_cls=
    retry_error_callback= name= enabled=
retry_all
retry_always
retry_any
retry_base
retry_if_exception predicate=
retry_if_exception_cause_type exception_types=
retry_if_exception_message message= match=
retry_if_exception_type exception_types=
retry_if_not_exception_message message= match=
retry_if_not_exception_type exception_types=
retry_if_not_result predicate=
retry_if_result predicate=
retry_never
retry_unless_exception_type exception_types=
sleep seconds=
sleep_using_event event=
stop_after_attempt max_attempt_number=
stop_after_delay max_delay=
stop_all
stop_any
stop_before_delay max_delay=
stop_never
stop_when_event_set event=
wait_chain
wait_combine
wait_exception predicate=
wait_exponential multiplier= max= exp_base= min=
wait_exponential_jitter initial= max= exp_base= jitter= min= multiplier=
wait_fixed wait=
wait_full_jitter multiplier= max= exp_base= min=
wait_incrementing start= increment= max=
wait_none
wait_random min= max=
wait_random_exponential multiplier= max= exp_base= min=
""",
    "stamina": """
AsyncRetryingCaller .on
Attempt .num .next_wait
BoundAsyncRetryingCaller
BoundRetryingCaller
RetryingCaller .on
is_active
is_testing
retry on= attempts= timeout= wait_initial= wait_max= wait_jitter= wait_exp_base=
retry_context
set_active active=
set_testing testing= attempts= cap=
LoggingOnRetryHook
PrometheusOnRetryHook
RetryDetails name= args= kwargs= retry_num= wait_for= waited_so_far= caused_by=
RetryHook
RetryHookFactory
StructlogOnRetryHook
get_on_retry_hooks
get_prometheus_counter
set_on_retry_hooks hooks=
""",
    "aiohttp-retry": """
RetryClient client_session= logger= retry_options= raise_for_status= .retry_options .requests
    .request .get .options .head .post .put .patch .delete .close
RequestParams method= url= headers= trace_request_ctx= kwargs=
RetryOptionsBase attempts= statuses= exceptions= methods= retry_all_server_errors=
    evaluate_response_callback= .get_timeout
RetryOptions
ExponentialRetry start_timeout= max_timeout= factor=
JitterRetry start_timeout= max_timeout= factor= random_interval_size=
RandomRetry min_timeout= max_timeout= random_func=
ListRetry timeouts=
FibonacciRetry multiplier= max_timeout=
RetryClient.request retry_options= raise_for_status=
RetryClient.requests params_list=
""",
}
"""The names by library.

``name=`` is an option, and ``.name`` a method, an attribute or a field, of what stands before them.
"""


def names_of(peer: str) -> Iterator[str]:
    """Yield the names of a library as ``Name``, ``Name(option)`` and ``Name.member``."""
    owner = ""
    for word in PEERS[peer].split():
        if word.startswith("."):
            yield owner + word
        elif word.endswith("="):
            yield f"{owner}({word[:-1]})"
        else:
            owner = word
            if "." not in word:  # else its owner has yielded it
                yield word
