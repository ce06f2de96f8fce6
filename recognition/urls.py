"""URLs: pages for people, REST for programs, and the admin site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path('admin/', admin.site.urls),
    path('api/v1/', include('recognition.api.urls')),
    path('', include('recognition.pages.urls')),
]

handler500 = 'recognition.api.errors.handle_server_error'
