"""Settings. Everything that differs between a laptop and a cluster is read from the environment, here and
only here.
"""

from __future__ import annotations

from pathlib import Path

import environ
from csp.constants import NONE, SELF

from recognition import env

BASE_DIR = Path(__file__).resolve().parent.parent
# Database, images, models, broker: everything worth a backup.
DATA_DIR = env.path('GRAFT_DATA', BASE_DIR / 'var')
DATA_DIR.mkdir(parents=True, exist_ok=True)

# on which `manage.py serve` listens; 0.0.0.0: reachable from other machines
HOST = env.text('HOST', '127.0.0.1')
PORT = env.integer('PORT', 8000)
WEB_PROCESSES = env.integer('WEB_PROCESSES', 1)  # each has eight threads and its own cache of loaded models

# --- Safety -------------------------------------------------------------------------------------------------
PRODUCTION = env.boolean('GRAFT_PRODUCTION', False)  # refuses every convenient default below
DEBUG = env.boolean('DEBUG', False)
SECRET_KEY = env.secret('SECRET_KEY', DATA_DIR / 'secret_key', required=PRODUCTION)
ALLOWED_HOSTS = env.words('ALLOWED_HOSTS', '' if PRODUCTION else 'localhost,127.0.0.1,[::1]')
CSRF_TRUSTED_ORIGINS = env.words('CSRF_TRUSTED_ORIGINS', '')
HTTPS = env.boolean('HTTPS', PRODUCTION)
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https') if env.boolean('BEHIND_PROXY', False) else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_REFERRER_POLICY = 'same-origin'
X_FRAME_OPTIONS = 'DENY'
CONTENT_SECURITY_POLICY = {
    'DIRECTIVES': {
        'default-src': [SELF],
        'script-src': [SELF],
        'style-src': [SELF],
        'img-src': [SELF, 'data:', 'blob:'],
        'object-src': [NONE],
        'base-uri': [SELF],
        'frame-ancestors': [NONE],
        'form-action': [SELF],
    }
}
PERMISSIONS_POLICY = 'camera=(self)'

# --- Application --------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    'recognition.admin_site.AdministrationConfig',  # django.contrib.admin
    'django.contrib.auth',
    'django.contrib.contenttypes',
    'django.contrib.sessions',
    'django.contrib.messages',
    'django.contrib.staticfiles',
    'rest_framework',
    'drf_spectacular',
    'drf_spectacular_sidecar',
    'csp',
    'axes',
    'recognition',
]
MIDDLEWARE = [
    'django.middleware.security.SecurityMiddleware',
    'whitenoise.middleware.WhiteNoiseMiddleware',
    'csp.middleware.CSPMiddleware',
    'django.contrib.sessions.middleware.SessionMiddleware',
    'django.middleware.common.CommonMiddleware',
    'django.middleware.csrf.CsrfViewMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
    'django.contrib.messages.middleware.MessageMiddleware',
    'django.middleware.clickjacking.XFrameOptionsMiddleware',
    'axes.middleware.AxesMiddleware',
]
ROOT_URLCONF = 'recognition.urls'
WSGI_APPLICATION = 'recognition.wsgi.application'
TEMPLATES = [
    {
        'BACKEND': 'django.template.backends.django.DjangoTemplates',
        'DIRS': [BASE_DIR / 'templates'],
        'APP_DIRS': True,
        'OPTIONS': {
            'context_processors': [
                'django.template.context_processors.request',
                'django.contrib.auth.context_processors.auth',
                'django.contrib.messages.context_processors.messages',
            ]
        },
    }
]
LANGUAGE_CODE = 'en'
TIME_ZONE = 'UTC'
USE_I18N = USE_TZ = True
DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'
FORM_RENDERER = 'django.forms.renderers.TemplatesSetting'
INSTALLED_APPS.insert(6, 'django.forms')

# --- Database -----------------------------------------------------------------------------------------------
DATABASES = {
    'default': environ.Env.db_url_config(env.text('DATABASE_URL', f'sqlite:///{DATA_DIR / "db.sqlite3"}'))
}
if DATABASES['default']['ENGINE'].endswith('sqlite3'):
    # With these options together four writers met no lock error; a time-out alone does not help
    # (docs/architecture.md).
    DATABASES['default']['OPTIONS'] = {
        'timeout': 20,
        'transaction_mode': 'IMMEDIATE',
        'init_command': 'PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;',
    }
    DATABASES['default']['CONN_MAX_AGE'] = 600  # reopening the file costs 0.7 ms of CPU a request
    # A file in tests too: in memory, the threads of a live server would share one connection and its
    # transaction.
    DATABASES['default']['TEST'] = {'NAME': DATA_DIR / 'test.sqlite3'}
else:
    DATABASES['default'].update(CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True)
CACHES = {
    'default': {'BACKEND': 'django.core.cache.backends.redis.RedisCache', 'LOCATION': env.text('CACHE_URL')}
    if env.text('CACHE_URL')
    else {
        'BACKEND': 'django.core.cache.backends.filebased.FileBasedCache',
        'LOCATION': DATA_DIR / 'cache' / 'django',
    }
}

# --- Users --------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ['axes.backends.AxesStandaloneBackend', 'django.contrib.auth.backends.ModelBackend']
PASSWORD_HASHERS = [
    'django.contrib.auth.hashers.Argon2PasswordHasher',
    'django.contrib.auth.hashers.PBKDF2PasswordHasher',
]
AUTH_PASSWORD_VALIDATORS = [
    {'NAME': f'django.contrib.auth.password_validation.{name}'}
    for name in ('UserAttributeSimilarityValidator', 'MinimumLengthValidator', 'CommonPasswordValidator')
]
LOGIN_URL = 'login'
LOGIN_REDIRECT_URL = 'projects'
LOGOUT_REDIRECT_URL = 'login'
AXES_FAILURE_LIMIT = 8
AXES_VERBOSE = False  # or it prints a line at the start of every command
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [['username', 'ip_address']]
AXES_LOCKOUT_TEMPLATE = 'locked.html'

# --- Files --------------------------------------------------------------------------------------------------
STATIC_URL = '/static/'
STATIC_ROOT = env.path('STATIC_ROOT', DATA_DIR / 'static')
STATICFILES_DIRS: list[Path | tuple[str, Path]] = [BASE_DIR / 'static']
FRONT_END_PACKAGES = BASE_DIR / 'node_modules'  # `npm ci` puts the pinned browser libraries here
STATICFILES_DIRS += [
    (prefix, folder)
    for prefix, folder in (
        ('vendor/pico', FRONT_END_PACKAGES / '@picocss' / 'pico' / 'css'),
        ('vendor/annotorious', FRONT_END_PACKAGES / '@annotorious' / 'annotorious' / 'dist'),
    )
    if folder.is_dir()
]
S3_BUCKET = env.text('S3_BUCKET')  # images and models are stored there instead of in DATA_DIR when set
if S3_BUCKET:
    MEDIA_BACKEND = {
        'BACKEND': 'storages.backends.s3.S3Storage',
        'OPTIONS': {
            'bucket_name': S3_BUCKET,
            'endpoint_url': env.text('S3_ENDPOINT') or None,
            'access_key': env.text('S3_ACCESS_KEY') or None,
            'secret_key': env.text('S3_SECRET_KEY') or None,
            'file_overwrite': True,
        },
    }
else:
    MEDIA_BACKEND = {
        'BACKEND': 'django.core.files.storage.FileSystemStorage',
        'OPTIONS': {'location': DATA_DIR / 'media', 'allow_overwrite': True},
    }
STORAGES = {
    'default': MEDIA_BACKEND,
    # Compressing the API documentation's scripts takes half a minute at the first start, and gains nothing on
    # one machine.
    'staticfiles': {
        'BACKEND': 'whitenoise.storage.CompressedStaticFilesStorage'
        if PRODUCTION
        else 'django.contrib.staticfiles.storage.StaticFilesStorage'
    },
}
WHITENOISE_USE_FINDERS = DEBUG
# Copies of remote files, decoded pixels, features: may be deleted at any time.
LOCAL_CACHE = DATA_DIR / 'cache'
ZOO_DIR = DATA_DIR / 'zoo'  # weights of imported and pulled source models
STARTER_ZOO = BASE_DIR / 'transfer' / 'zoo' / 'starter'  # ships with the repository
# Source models that come in installed Python packages.
PACKAGED_SOURCES = env.words(
    'PACKAGED_SOURCES',
    'efficientnet_lite0_imagenet,efficientnet_lite1_imagenet,efficientnet_lite2_imagenet',
)
# For `zoo download`; may be a mirror.
TORCHVISION_URL = env.text('TORCHVISION_URL', 'https://download.pytorch.org/models')
# For `zoo download timm/...`; may be a mirror.
HUGGINGFACE_URL = env.text('HUGGINGFACE_URL', 'https://huggingface.co')

# --- Limits -------------------------------------------------------------------------------------------------
# A thousand images in one request are normal here; Django's default limit is 100 files.
DATA_UPLOAD_MAX_NUMBER_FILES = 2_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 2**20  # of fields other than files: base64 images are sent this way
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
FILE_UPLOAD_TEMP_DIR = env.path('UPLOAD_TEMP_DIR', DATA_DIR / 'incoming')
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
MAX_IMAGE_BYTES = 40 * 2**20
MAX_IMAGE_PIXELS = 89_000_000  # just below Pillow's limit for decompression bombs
MAX_ARCHIVE_BYTES = env.integer('MAX_ARCHIVE_MB', 2_200) * 2**20
MAX_ARCHIVE_ENTRIES = 20_000
MAX_IMAGES_PER_PREDICTION = 20
# A detection that is expected to take longer becomes a detection job (202).
MAX_DETECTION_SECONDS = env.number('MAX_DETECTION_SECONDS', 2.0)
DETECTION_RESULT_HOURS = env.integer('DETECTION_RESULT_HOURS', 24)  # how long its result can be fetched
MAX_QUEUED_DETECTIONS_PER_USER = env.integer('MAX_QUEUED_DETECTIONS_PER_USER', 20)  # one more is refused
MODEL_CACHE_BYTES = env.integer('MODEL_CACHE_MB', 512) * 2**20
SERVE_DEVICE = env.text('SERVE_DEVICE', 'cpu')  # `cuda`: predictions run by torch on this machine's GPU

# --- Background work ----------------------------------------------------------------------------------------
# spool://: a folder, no server (transfer/worker/spool_transport.py).
CELERY_BROKER_URL = env.text('CELERY_BROKER_URL', 'spool://')
SPOOL_DIR = DATA_DIR / 'broker'
# Seconds without a heartbeat after which a job is requeued.
JOB_HEARTBEAT_TIMEOUT = env.integer('JOB_HEARTBEAT_TIMEOUT', 60)
JOB_MAX_ATTEMPTS = 4
MAX_QUEUED_TRAININGS_PER_USER = env.integer('MAX_QUEUED_TRAININGS_PER_USER', 20)  # one more is refused
WORKER_QUEUES = env.text('WORKER_QUEUES', 'cpu,gpu')  # of the worker that `manage.py serve` starts
# The queue of detection jobs and source imports: another worker serves it, so that none waits for a training.
SERVING_QUEUE = env.text('SERVING_QUEUE', 'serve')
# Load torch before a job comes: saves 3 to 10 s, costs 0.45 GB of memory.
WORKER_PRELOAD = env.boolean('WORKER_PRELOAD', True)
# `gpu` sends trainings to workers that serve the queue gpu.
TRAINING_QUEUE = env.text('TRAINING_QUEUE', 'cpu')

# --- Source selection ---------------------------------------------------------------------------------------
# The reference model, whose features are compared; empty: the default one (docs/p2l.md).
P2L_REFERENCE = env.text('P2L_REFERENCE', '')
P2L_DIVERGENCE = env.text('P2L_DIVERGENCE', 'kl')  # or kl_reverse, js, cosine, emd (docs/p2l.md)
# Used until `zoo fit` has fitted them to a benchmark of this installation.
SHIPPED_SELECTION_PARAMS = BASE_DIR / 'p2l' / 'selection_params.json'

# --- REST ---------------------------------------------------------------------------------------------------
API_RATE = env.rate('API_RATE', '6000/min')  # requests of one user, in each web process
REST_FRAMEWORK = {
    'DEFAULT_AUTHENTICATION_CLASSES': [
        'recognition.api.access.ApiKeyAuthentication',
        'rest_framework.authentication.SessionAuthentication',
    ],
    'DEFAULT_PERMISSION_CLASSES': ['recognition.api.access.HasScope'],
    'DEFAULT_RENDERER_CLASSES': ['rest_framework.renderers.JSONRenderer'],
    'DEFAULT_SCHEMA_CLASS': 'drf_spectacular.openapi.AutoSchema',
    'DEFAULT_PAGINATION_CLASS': 'recognition.api.endpoint.Pages',
    'DEFAULT_PARSER_CLASSES': ['recognition.api.parsing.BoundedJsonParser'],
    'DEFAULT_THROTTLE_CLASSES': ['recognition.api.access.UserThrottle'],
    'EXCEPTION_HANDLER': 'recognition.api.errors.handle_exception',
    'UNAUTHENTICATED_USER': None,
}
SPECTACULAR_SETTINGS = {
    'TITLE': 'Graft REST API',
    'VERSION': '1.0.0',
    'DESCRIPTION': 'Projects, images, labels, trainings, models and predictions.',
    'SERVE_INCLUDE_SCHEMA': False,
    'SWAGGER_UI_DIST': 'SIDECAR',
    'SWAGGER_UI_FAVICON_HREF': 'SIDECAR',
    'REDOC_DIST': 'SIDECAR',
    'COMPONENT_SPLIT_REQUEST': True,
    'ENUM_NAME_OVERRIDES': {
        'StateEnum': 'recognition.models.job.State'
    },  # of trainings and of detection jobs
    'SCHEMA_PATH_PREFIX': '/api/v1',
    'POSTPROCESSING_HOOKS': [
        'drf_spectacular.hooks.postprocess_schema_enums',
        'recognition.api.openapi.add_errors',
    ],
}

# --- Log ----------------------------------------------------------------------------------------------------
LOGGING = {
    'version': 1,
    'disable_existing_loggers': False,
    'formatters': {'line': {'format': '{asctime} {levelname} {name}: {message}', 'style': '{'}},
    'handlers': {'console': {'class': 'logging.StreamHandler', 'formatter': 'line'}},
    'root': {'handlers': ['console'], 'level': env.text('LOG_LEVEL', 'INFO')},
    # At INFO Celery logs every message and axes every start; job events and the audit log say more.
    'loggers': {'celery': {'level': 'WARNING'}, 'axes': {'level': 'WARNING'}},
}
